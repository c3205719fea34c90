"""What a run hands over in one object: files for git, and objects of DVC's.

An index stands first, so a reader takes what it wants by ranges of bytes and never unpacks what a stranger packed:

    4 bytes     the length of the index, big-endian
    the index   JSON (`Index`)
    the rest    the contents, one after another in the index's order

Whoever reads takes it for hostile: the index is bounded and strict, and objects are to be hashed (`Bundle` is a
`Reader` of them, which promises nothing about their content).
"""

import io
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlplatform.objects.verify import CHUNK, MISSING, pieces

MOST_INDEX = 16 * 2**20
_LENGTH = 4

Size = Annotated[int, Field(ge=0, le=2**40)]


class BundleError(Exception):
    """A bundle that cannot be read; the message says why."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Record):
    """A file by its path from the repository's root, and its size in bytes."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    size: Size


class Object(_Record):
    """An object of DVC's by its MD5 (with `.dir` for a folder's listing), and its size in bytes."""

    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")]
    size: Size


class Index(_Record):
    """What a bundle says that it holds, in this order."""

    files: list[File] = []
    objects: list[Object] = []


def write(stream: IO[bytes], files: Mapping[str, bytes], objects: Mapping[str, Path]) -> int:
    """Write a bundle of files by path, and of objects by MD5; returns its size in bytes. Raises `BundleError`."""
    index = Index(
        files=[File(path=path, size=len(content)) for path, content in files.items()],
        objects=[Object(md5=md5, size=path.stat().st_size) for md5, path in objects.items()],
    )
    head = index.model_dump_json().encode()
    if len(head) > MOST_INDEX:
        raise BundleError(f"{len(index.objects)} objects are too many for one bundle: track folders with fewer files")
    stream.write(len(head).to_bytes(_LENGTH, "big") + head)
    for content in files.values():
        stream.write(content)
    for path in objects.values():
        for piece in pieces(path):
            stream.write(piece)
    return stream.tell()


Place = tuple[int, int]
"""Offset and size of a content."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in a bucket: where its files lie by path, and its objects by MD5. `client` is boto3's; its errors come
    through."""

    client: Any
    bucket: str
    key: str
    files: Mapping[str, Place]
    objects: Mapping[str, Place]

    @classmethod
    def open(cls, client: Any, bucket: str, key: str) -> "Bundle | None":
        """The bundle under a key, `None` where there is none. Raises `BundleError`."""
        # One request for what nearly every index fits into.
        first = _range(client, bucket, key, (0, 64 * 1024))
        if first is None:
            return None
        length = int.from_bytes(first[:_LENGTH], "big")
        if len(first) < _LENGTH or not 0 < length <= MOST_INDEX:
            raise BundleError("it does not begin with the length of an index")
        head = first[_LENGTH : _LENGTH + length]
        if missing := length - len(head):
            head += _range(client, bucket, key, (_LENGTH + len(head), missing)) or b""
        try:
            index = Index.model_validate_json(head)
        except ValidationError:
            raise BundleError("its index cannot be read") from None
        if len(head) < length:
            raise BundleError("its index cannot be read: it is cut off")
        files, objects, offset = dict[str, Place](), dict[str, Place](), _LENGTH + length
        for file in index.files:
            files[file.path] = offset, file.size
            offset += file.size
        for found in index.objects:
            objects[found.md5] = offset, found.size
            offset += found.size
        if len(files) + len(objects) < len(index.files) + len(index.objects):
            raise BundleError("its index names something twice")
        return cls(client, bucket, key, files, objects)

    def file(self, path: str, most_bytes: int) -> bytes:
        """A file's content, cut off where the bundle ends. Raises `BundleError` for one that is larger."""
        offset, size = self.files[path]
        if size > most_bytes:
            raise BundleError(f"{path[:200]!r} has {size} bytes; {most_bytes} are allowed")
        return _range(self.client, self.bucket, self.key, (offset, size)) or b""

    def read(self, md5: str) -> Generator[bytes, None, None] | None:
        """The content that the bundle gives for an object, `None` where it gives none."""
        place = self.objects.get(md5)
        return None if place is None else _pieces(self.client, self.bucket, self.key, place)


def _range(client: Any, bucket: str, key: str, place: Place) -> bytes | None:
    """The bytes of a range as far as there are any, `None` where there is no object."""
    body = _body(client, bucket, key, place)
    if body is None:
        return None
    # A store that ignores ranges would send everything.
    with body:
        return bytes(body.read(place[1]))


def _pieces(client: Any, bucket: str, key: str, place: Place) -> Generator[bytes, None, None]:
    with _body(client, bucket, key, place) or io.BytesIO() as body:
        while piece := body.read(CHUNK):
            yield piece


def _body(client: Any, bucket: str, key: str, place: Place) -> Any:
    """Something to read a range from, `None` where there is no object."""
    offset, size = place
    if not size:
        return io.BytesIO()
    try:
        return client.get_object(Bucket=bucket, Key=key, Range=f"bytes={offset}-{offset + size - 1}")["Body"]
    except client.exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code in MISSING:
            return None
        if code in ("InvalidRange", "416"):  # it ends before
            return io.BytesIO()
        raise
