"""Reads a YAML file strictly."""

from pathlib import Path
from typing import Any

import yaml

from settings.errors import SettingsError
from settings.messages import yaml_problem


def read(path: Path, shown: str) -> Any:
    """The document in a file that messages call `shown`. Raises SettingsError."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SettingsError(
            f"{shown}: cannot be read ({error.strerror}); check that it exists and is readable"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown}: is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{shown}: is not valid YAML ({yaml_problem(error)}); correct the syntax there") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, where YAML libraries silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
