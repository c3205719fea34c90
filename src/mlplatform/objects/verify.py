"""Whether a store of DVC's objects holds what a lock names, byte for byte.

An object's key is its MD5, so a look at its existence says nothing of its content: a damaged or replaced object has
the right key. Everything is read once, in pieces, and nothing is kept but the listings of folders.
"""

import hashlib
import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

CHUNK = 2**20
MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
MD5 = re.compile(r"[0-9a-f]{32}")
FOLDER = ".dir"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a lock records of one path. `md5` ends in `.dir` for a folder; `size` in bytes is `None` where unsaid."""

    path: str
    md5: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read: bytes of one object, of one folder's listing and of all, and files of one folder."""

    object: int = 16 * 2**30
    listing: int = 64 * 2**20
    total: int = 64 * 2**30
    files: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """An object that is not what the lock says. `reason` is one sentence that names path and object."""

    path: str
    md5: str
    kind: Literal["missing", "corrupt", "not verified"]
    reason: str


class Sink(Protocol):
    """Something to write to, such as a file."""

    def write(self, content: bytes, /) -> object:
        """Take a piece."""


class Reader(Protocol):
    """A store of DVC's objects."""

    def read(self, md5: str) -> Generator[bytes, None, None] | None:
        """The content in pieces of an object, by its MD5 (with `.dir` for a listing); `None` where there is none."""


@dataclass(frozen=True, slots=True)
class FolderReader:
    """Objects in a DVC remote or cache that is a folder: `<root>/files/md5/ab/cdef...`."""

    root: Path

    def read(self, md5: str) -> Generator[bytes, None, None] | None:
        path = self.root / key("", md5)
        return pieces(path) if path.is_file() else None


@dataclass(frozen=True, slots=True)
class S3Reader:
    """Objects in a DVC remote below `prefix` of a bucket. `client` is boto3's; its errors come through."""

    client: Any
    bucket: str
    prefix: str

    def read(self, md5: str) -> Generator[bytes, None, None] | None:
        try:
            body = self.client.get_object(Bucket=self.bucket, Key=key(self.prefix, md5))["Body"]
        except self.client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in MISSING:
                return None
            raise
        return of_body(body)


@dataclass(frozen=True, slots=True)
class Either:
    """Two stores as one: the second has a say where the first lacks an object."""

    first: Reader
    second: Reader

    def read(self, md5: str) -> Generator[bytes, None, None] | None:
        content = self.first.read(md5)
        return self.second.read(md5) if content is None else content


def key(prefix: str, md5: str) -> str:
    """Where DVC keeps an object below a remote's prefix, or below a folder."""
    return "/".join(part for part in (prefix.strip("/"), "files", "md5", md5[:2], md5[2:]) if part)


def pieces(path: Path) -> Generator[bytes, None, None]:
    """A file's content."""
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            yield piece


def of_body(body: Any) -> Generator[bytes, None, None]:
    """The content of boto3's answer, which is closed in the end."""
    with closing(body):
        yield from body.iter_chunks(CHUNK)


def digest(content: Generator[bytes, None, None], sink: Sink | None = None) -> str:
    """The MD5 of all of it, which is written to the sink on the way."""
    sum_ = hashlib.md5(usedforsecurity=False)
    with closing(content):
        for piece in content:
            sum_.update(piece)
            if sink:
                sink.write(piece)
    return sum_.hexdigest()


class ListingError(Exception):
    """An object that is no listing of a folder; the message is the rest of a sentence about it."""


def listed(path: str, content: bytes) -> list[Entry]:
    """The files of the folder `path` whose listing this is. Raises `ListingError`."""
    try:
        files = [Entry(f"{path}/{item['relpath']}", item["md5"]) for item in json.loads(content)]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ListingError("is no listing of a folder") from None
    for file in files:
        if not isinstance(file.md5, str) or not MD5.fullmatch(file.md5):
            raise ListingError(f"lists {file.path[:200]!r} without an MD5")
        if ".." in file.path.split("/"):
            raise ListingError(f"lists {file.path[:200]!r}, which leads out of the folder")
    return files


def verify(entries: Iterable[Entry], reader: Reader, limits: Limits | None = None) -> list[Problem]:
    """Read every object that `entries` name, those in folders too, and say which are missing or hold something else.

    An object beyond the limits is a problem as well, as is whatever comes after the sum of all: `not verified`.
    """
    return list(_Verification(reader, limits or Limits()).problems(entries))


class _Bad(Exception):
    def __init__(self, kind: Literal["missing", "corrupt", "not verified"], what: str) -> None:
        super().__init__(what)
        self.kind: Literal["missing", "corrupt", "not verified"] = kind


class _Verification:
    """One pass over a store; an object that several paths share is read once."""

    def __init__(self, reader: Reader, limits: Limits) -> None:
        self._reader, self._limits, self._left = reader, limits, limits.total
        self._known: dict[str, tuple[int, _Bad | None]] = {}

    def problems(self, entries: Iterable[Entry]) -> Iterator[Problem]:
        for entry in entries:
            if not MD5.fullmatch(entry.md5.removesuffix(FOLDER)):
                yield Problem(entry.path, entry.md5, "corrupt", f"{entry.path}: {entry.md5[:80]!r} is no MD5")
            elif entry.md5.endswith(FOLDER):
                yield from self._folder(entry)
            else:
                yield from self._file(entry)

    def _file(self, entry: Entry) -> Iterator[Problem]:
        if entry.md5 not in self._known:
            try:
                self._known[entry.md5] = self._read(entry.md5, self._limits.object)[0], None
            except _Bad as bad:
                self._known[entry.md5] = 0, bad
        size, fault = self._known[entry.md5]
        if fault is None and entry.size is not None and size != entry.size:
            fault = _Bad("corrupt", f"has {size} bytes, where the lock says {entry.size}")
        if fault:
            yield _problem(entry, fault)

    def _folder(self, entry: Entry) -> Iterator[Problem]:
        try:
            files = self._listed(entry)
        except _Bad as bad:
            yield _problem(entry, bad)
            return
        sizes, complete = 0, True
        for file in files:
            found = list(self._file(file))
            complete = complete and not found
            sizes += self._known[file.md5][0]
            yield from found
        if complete and entry.size is not None and sizes != entry.size:
            yield _problem(entry, _Bad("corrupt", f"lists {sizes} bytes, where the lock says {entry.size}"))

    def _listed(self, entry: Entry) -> list[Entry]:
        content = self._read(entry.md5, self._limits.listing, keep=True)[1]
        try:
            files = listed(entry.path, content)
        except ListingError as error:
            raise _Bad("corrupt", str(error)) from None
        if len(files) > self._limits.files:
            raise _Bad("not verified", f"lists {len(files)} files, more than the {self._limits.files} allowed")
        return files

    def _read(self, md5: str, limit: int, *, keep: bool = False) -> tuple[int, bytes]:
        """Size and, if it is to be kept, content of a whole object. Raises `_Bad`."""
        content = self._reader.read(md5)
        if content is None:
            raise _Bad("missing", "is missing")
        sum_, size, kept = hashlib.md5(usedforsecurity=False), 0, bytearray()
        # A generator left early keeps its file or connection until it is closed.
        with closing(content):
            for piece in content:
                size += len(piece)
                self._left -= len(piece)
                if size > limit or self._left < 0:
                    most = f"{limit} bytes an object" if size > limit else f"{self._limits.total} bytes in all"
                    raise _Bad("not verified", f"was not read to its end: {most} are read")
                sum_.update(piece)
                if keep:
                    kept += piece
        if sum_.hexdigest() != md5.removesuffix(FOLDER):
            raise _Bad("corrupt", f"holds other content: {size} bytes with the MD5 {sum_.hexdigest()}")
        return size, bytes(kept)


def _problem(entry: Entry, bad: _Bad) -> Problem:
    return Problem(entry.path, entry.md5, bad.kind, f"{entry.path}: object {entry.md5} {bad}")
