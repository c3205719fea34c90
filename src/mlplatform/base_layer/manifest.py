"""What a folder holds, file by file: written when the folder is whole, held against it ever after."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

_LINK = "-> "


def of(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below `folder`, or `-> target` for a link, by relative path. Links are not followed."""
    return {path.relative_to(folder).as_posix(): entry(path) for path in _files(folder)}


def problems(folder: Path, recorded: Mapping[str, str], most: int = 5) -> list[str]:
    """How `folder` differs from what is recorded: at most so many sentences, none when it does not."""
    found = []
    left = dict(recorded)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        wanted = left.pop(name, None)
        if wanted is None:
            found.append(f"{name} was added")
        elif entry(path) != wanted:
            found.append(f"{name} was changed")
        if len(found) == most:
            return found
    return [*found, *(f"{name} is missing" for name in sorted(left))][:most]


def write(path: Path, recorded: Mapping[str, str]) -> None:
    """Write a manifest at once, after all that it speaks of."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as stream:
        json.dump(dict(sorted(recorded.items())), stream, indent=0)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read(path: Path) -> dict[str, str]:
    """The manifest in a file. Raises OSError or ValueError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise ValueError("not a mapping of paths to hashes")
    return content


def _files(folder: Path) -> list[Path]:
    return sorted(
        Path(top, name)
        for top, folders, files in os.walk(folder)
        for name in (*files, *folders)
        if name in files or Path(top, name).is_symlink()
    )


def entry(path: Path) -> str:
    """What a manifest says of a file or link."""
    if path.is_symlink():
        return _LINK + str(path.readlink())
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
