"""Copies objects of DVC's between a store and a folder; none is kept whose content is not what its name says."""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from mlplatform.objects.verify import FOLDER, MD5, Entry, Reader, digest, key, pieces

_PARTIAL = ".partial-"
# A copy that is under way is younger.
_PARTIAL_SECONDS = 24 * 3600


@dataclass(slots=True)
class Copied:
    """How many objects a folder got and had; by MD5, what was named, files of folders among it, what of that the store
    lacks, and what it holds with other content."""

    new: int = 0
    present: int = 0
    named: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)


def copy(entries: Iterable[Entry], reader: Reader, folder: Path) -> Copied:
    """Bring what `entries` name, and the files of folders among it, into a DVC cache or remote that is a folder.

    What is there already is taken for right. Each object is hashed while it is copied and appears at once, read-only.
    """
    copying = _Copying(reader, folder)
    for entry in entries:
        if copying.bring(entry.md5):
            for md5 in copying.listed(entry.md5):
                copying.bring(md5)
    copying.result.named = copying.known
    return copying.result


def check(folder: Path) -> list[str]:
    """Remove each object of such a folder whose content is not what its name says; returns their MD5s."""
    bad = []
    for path in sorted((folder / "files" / "md5").glob("*/*")):
        if path.name.startswith(_PARTIAL):
            if time.time() - path.lstat().st_mtime > _PARTIAL_SECONDS:
                path.unlink()
            continue
        md5 = f"{path.parent.name}{path.name}"
        if path.is_symlink() or digest(pieces(path)) != md5.removesuffix(FOLDER):
            path.unlink()
            bad.append(md5)
    return bad


def forget(folder: Path, named: Set[str], seconds: float) -> int:
    """Remove each object of such a folder that nobody has named for so long, by this function's own calls; how many.

    An object's time of change says when it was named last, for whoever copied it named it then.
    """
    now, removed = time.time(), 0
    for path in (folder / "files" / "md5").glob("*/*"):
        if f"{path.parent.name}{path.name}" in named:
            os.utime(path)
        elif now - path.lstat().st_mtime > seconds:
            path.unlink()
            removed += 1
    return removed


class _Copying:
    """One pass; an object that several paths share is looked at once."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.result = Copied()
        self._reader, self._folder = reader, folder
        self._known: dict[str, bool] = {}

    @property
    def known(self) -> set[str]:
        """What was asked for."""
        return set(self._known)

    def bring(self, md5: str) -> bool:
        """Whether the folder has the object, which is copied unless it does."""
        if md5 not in self._known:
            self._known[md5] = bool(MD5.fullmatch(md5.removesuffix(FOLDER))) and self._copy(md5)
        return self._known[md5]

    def listed(self, md5: str) -> Iterator[str]:
        """The files of a folder whose listing is here."""
        if not md5.endswith(FOLDER):
            return
        content = self._place(md5).read_bytes()
        try:
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5.removesuffix(FOLDER):
                raise ValueError
            yield from [str(item["md5"]) for item in json.loads(content)]
        except (ValueError, TypeError, KeyError):
            self.result.corrupt.append(md5)

    def _place(self, md5: str) -> Path:
        return self._folder / key("", md5)

    def _copy(self, md5: str) -> bool:
        target = self._place(md5)
        if target.is_file():
            self.result.present += 1
            return True
        content = self._reader.read(md5)
        if content is None:
            self.result.missing.append(md5)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{_PARTIAL}{os.getpid()}-{target.name}")
        try:
            with partial.open("wb") as stream:
                found = digest(content, stream)
            if found != md5.removesuffix(FOLDER):
                self.result.corrupt.append(md5)
                return False
            # As DVC keeps its objects; it takes such a one for checked, which it is.
            partial.chmod(0o444)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        self.result.new += 1
        return True
