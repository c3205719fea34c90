"""Which sections (top-level keys) of a parameter file a pull request changes."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

MOST_BYTES = 65536


def changed(path: str, before: bytes | None, after: bytes | None, watched: Sequence[str]) -> tuple[str, ...]:
    """Those of `watched` (`<file>: <section>`) that differ. A file that cannot be read counts as changed in all."""
    here = [section for section in watched if section.startswith(f"{path}: ")]
    old, new = _read(before), _read(after)
    if old is None or new is None:
        return tuple(here)
    return tuple(one for one in here if _text(old.get(_key(one))) != _text(new.get(_key(one))))


def _key(section: str) -> str:
    return section.partition(": ")[2]


def _read(content: bytes | None) -> dict[Any, Any] | None:
    if content is None or len(content) > MOST_BYTES:
        return None
    try:
        # Small text can name itself often enough to never end.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)):
            return None
        document = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _text(value: Any) -> str:
    # `==` takes 1, 1.0 and True for equal.
    return json.dumps(value, sort_keys=True, default=str)
