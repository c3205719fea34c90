"""One object of DVC's, read to its end and checked against its name before anybody uses it."""

import hashlib
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from mlplatform.objects.verify import FOLDER, MD5, Entry, ListingError, Reader, Sink, listed


class ObjectFault(Exception):
    """An object that must not be used; the message is one sentence that names it."""

    def __init__(self, reason: str, kind: Literal["missing", "corrupt", "too large"]) -> None:
        super().__init__(reason)
        self.kind: Literal["missing", "corrupt", "too large"] = kind


@dataclass(frozen=True, slots=True)
class Content:
    """What an object holds: its SHA-256, which stands against a forger, and its size in bytes."""

    sha256: str
    size: int


def read(reader: Reader, md5: str, most_bytes: int, sink: Sink | None = None) -> Content:
    """Read an object to its end, into `sink` if there is one.

    What was written to the sink is not to be used where this raises `ObjectFault`: the object is missing, holds other
    content than its name says, or is larger than `most_bytes`, which are all that is read.
    """
    if not MD5.fullmatch(md5):
        raise ObjectFault(f"{md5[:80]!r} is not the MD5 of a file", "corrupt")
    return _read(reader, md5, most_bytes, sink)


def _read(reader: Reader, md5: str, most_bytes: int, sink: Sink | None) -> Content:
    pieces = reader.read(md5)
    if pieces is None:
        raise ObjectFault(f"object {md5} is missing", "missing")
    weak, strong, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    # A generator left early keeps its file or connection until it is closed.
    with closing(pieces):
        for piece in pieces:
            size += len(piece)
            if size > most_bytes:
                raise ObjectFault(f"object {md5} is larger than {most_bytes} bytes", "too large")
            weak.update(piece)
            strong.update(piece)
            if sink:
                sink.write(piece)
    if weak.hexdigest() != md5.removesuffix(FOLDER):
        raise ObjectFault(f"object {md5} holds other content: {size} bytes with the MD5 {weak.hexdigest()}", "corrupt")
    return Content(strong.hexdigest(), size)


def files(reader: Reader, path: str, md5: str, most_bytes: int) -> list[Entry]:
    """The files of a path: itself, or those of a folder, whose listing may have so many bytes. Raises `ObjectFault`."""
    if not MD5.fullmatch(md5.removesuffix(FOLDER)):
        raise ObjectFault(f"{md5[:80]!r} is no MD5", "corrupt")
    if not md5.endswith(FOLDER):
        return [Entry(path, md5)]
    listing = BytesIO()
    _read(reader, md5, most_bytes, listing)
    try:
        return listed(path, listing.getvalue())
    except ListingError as error:
        raise ObjectFault(f"object {md5} {error}", "corrupt") from None
