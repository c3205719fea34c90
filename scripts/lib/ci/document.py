"""Small documents that anybody may have written: read strictly, with errors that name file and place."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import yaml

from ci.failure import Unacceptable

TEXT_LIMIT = 256 * 2**10
_TEXT_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = {_TEXT_TAG, *(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "int", "float", "bool", "null"))}
_DISPUTED = "\x85\u2028\u2029\ufeff"


class DocumentError(Unacceptable):
    """A document that cannot be read or is not understood."""


def resolve(folder: str, path: Any, where: str) -> str:
    """A path relative to `folder`, from the repository's root. Raises `DocumentError` where it leads out of that."""
    if not isinstance(path, str) or not path or path.startswith("/") or "\\" in path or "\0" in path or ":" in path:
        raise DocumentError(f"{where}: {path!r} is not a relative path")
    parts: list[str] = []
    for part in PurePosixPath(folder, path).parts:
        if part != "..":
            parts.append(part)
        elif not parts:
            raise DocumentError(f"{where}: {path!r} leads out of the repository")
        else:
            parts.pop()
    if not parts or ".git" in (part.casefold() for part in parts):
        raise DocumentError(f"{where}: {path!r} is not a path of the repository's files")
    return "/".join(parts)


class _PlainLoader(yaml.SafeLoader):
    """YAML without anchors and aliases, with which a small file can describe a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not allowed")
        return super().compose_node(parent, index)


class _StrictLoader(_PlainLoader):
    """YAML in which every reader sees the same: no key twice, no key but texts, nothing that a tag makes of a text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        node = super().compose_node(parent, index)
        if node.tag not in _PLAIN_TAGS:
            raise yaml.constructor.ConstructorError(None, None, f"{node.tag} is not allowed", node.start_mark)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != _TEXT_TAG:
                raise yaml.constructor.ConstructorError(None, None, "a key is no text: quote it", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_yaml(text: bytes, source: str) -> Any:
    """The content of a small, plain YAML file. Raises `DocumentError`."""
    with _reading(text, source):
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - it derives from SafeLoader


def parse_manifests(text: bytes, source: str) -> list[Any]:
    """The documents of a small YAML file that another program acts on, which must see in it what is seen here.

    Raises `DocumentError`.
    """
    with _reading(text, source):
        # Line breaks to some readers only.
        if found := next((char for char in text.decode() if char in _DISPUTED), None):
            raise DocumentError(f"{source}: holds the character {found!a}: take it out")
        return list(yaml.load_all(text, Loader=_StrictLoader))


@contextmanager
def _reading(text: bytes, source: str) -> Iterator[None]:
    if len(text) > TEXT_LIMIT:
        raise DocumentError(f"{source}: {len(text)} bytes are more than the {TEXT_LIMIT} allowed")
    try:
        yield
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise DocumentError(f"{source}: not readable as YAML: {' '.join(str(error).split())[:200]}") from None


def place(text: bytes, path: Sequence[str | int], source: str) -> tuple[int, int]:
    """From which character to which the value at `path` stands in a file that `parse_yaml` takes, quotes included.

    Raises `DocumentError`.
    """
    parse_yaml(text, source)
    try:
        node: Any = yaml.compose(text.decode(), Loader=_PlainLoader)
    except UnicodeDecodeError:
        raise DocumentError(f"{source}: is not UTF-8: save it as that") from None
    for key in path:
        match node:
            case yaml.MappingNode():
                # The last of equal keys counts, as where the file is read.
                node = next((value for name, value in reversed(node.value) if name.value == key), None)
            case yaml.SequenceNode() if isinstance(key, int) and key < len(node.value):
                node = node.value[key]
            case _:
                node = None
    if node is None:
        raise DocumentError(f"{source}: has nothing at {'.'.join(map(str, path))}")
    return node.start_mark.index, node.end_mark.index


def mapping(content: Any, where: str) -> dict[Any, Any]:
    """`content` as a mapping. Raises `DocumentError`."""
    if not isinstance(content, dict):
        raise DocumentError(f"{where}: must be a mapping")
    return content


def sequence(content: Any, where: str) -> list[Any]:
    """`content` as a list, empty where there is none. Raises `DocumentError`."""
    if content is None:
        return []
    if not isinstance(content, list):
        raise DocumentError(f"{where}: must be a list")
    return content


def texts(content: Any, where: str) -> list[str]:
    """`content` as a list of texts, empty where there is none. Raises `DocumentError`."""
    entries = sequence(content, where)
    if not all(isinstance(entry, str) for entry in entries):
        raise DocumentError(f"{where}: must be a list of texts")
    return entries
