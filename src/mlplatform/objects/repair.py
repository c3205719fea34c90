"""Puts objects back that a store lacks or holds with other content, from wherever their content still is.

An object is named by its MD5, so any bytes with that MD5 are the object; nothing is put back that was not hashed first.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlplatform.objects.verify import FOLDER, Entry, Limits, Problem, Reader, digest, key, of_body, verify

Put = Callable[[str, Path], None]
"""Writes the file as the object of an MD5."""


class Source(Protocol):
    """A place where an object's content may still be."""

    @property
    def name(self) -> str:
        """What people call it."""

    def contents(self, md5: str) -> Iterator[Generator[bytes, None, None]]:
        """What may be the object's content, in pieces, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Another store of DVC's objects."""

    name: str
    reader: Reader

    def contents(self, md5: str) -> Iterator[Generator[bytes, None, None]]:
        """The one that it has."""
        if content := self.reader.read(md5):
            yield content


@dataclass(frozen=True, slots=True)
class EarlierVersions:
    """What a versioned bucket held under an object's key before, newest first. `client` is boto3's."""

    client: Any
    bucket: str
    prefix: str
    name: str = "an earlier version in the bucket"

    def contents(self, md5: str) -> Iterator[Generator[bytes, None, None]]:
        """Every version of the object."""
        wanted = key(self.prefix, md5)
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=wanted):
            for version in page.get("Versions", []):
                if version["Key"] == wanted:
                    found = self.client.get_object(Bucket=self.bucket, Key=wanted, VersionId=version["VersionId"])
                    yield of_body(found["Body"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """`repaired`: what was wrong, and where its content came from. `left`: what is still wrong."""

    repaired: list[tuple[Problem, str]]
    left: list[Problem]


@dataclass(frozen=True, slots=True)
class Repair:
    """Makes a store whole.

    Args:
        reader: reads the store.
        put: writes to it.
        sources: where to look for what it lacks, in this order.
        scratch: a file that may be written, and is gone afterwards.
    """

    reader: Reader
    put: Put
    sources: Sequence[Source]
    scratch: Path
    limits: Limits | None = None

    def run(self, entries: Iterable[Entry]) -> Outcome:
        """Put back what can be put back of what `entries` name."""
        wanted, repaired, tried = list(entries), list[tuple[Problem, str]](), set[str]()
        while True:
            # Behind a folder's listing that is put back, its files come to light.
            problems = verify(wanted, self.reader, self.limits)
            fresh = {one.md5: one for one in problems if one.md5 not in tried and one.kind != "not verified"}
            if not fresh:
                return Outcome(repaired, problems)
            for md5, problem in fresh.items():
                tried.add(md5)
                if source := self._restore(md5):
                    repaired.append((problem, source))

    def _restore(self, md5: str) -> str:
        """The name of the place from which an object was put back, "" where none has it."""
        try:
            for source in self.sources:
                for content in source.contents(md5):
                    with self.scratch.open("wb") as stream:
                        found = digest(content, stream)
                    if found == md5.removesuffix(FOLDER):
                        self.put(md5, self.scratch)
                        return source.name
            return ""
        finally:
            self.scratch.unlink(missing_ok=True)
