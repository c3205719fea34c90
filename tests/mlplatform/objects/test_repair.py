"""What is put back, from where, and that nothing else is."""

import hashlib
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlplatform.objects.repair import Copies, EarlierVersions, Outcome, Repair
from mlplatform.objects.verify import Entry, FolderReader, Limits, key


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Store:
    """A folder of DVC's objects."""

    def __init__(self, root: Path) -> None:
        self.root, self.reader = root, FolderReader(root)

    def put(self, name: str, content: bytes) -> str:
        path = self.root / key("", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return name

    def add(self, content: bytes) -> str:
        return self.put(md5(content), content)

    def take(self, name: str, file: Path) -> None:
        self.put(name, file.read_bytes())

    def get(self, name: str) -> bytes:
        return (self.root / key("", name)).read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def copy(tmp_path: Path) -> Store:
    return Store(tmp_path / "copy")


def mended(store: Store, entries: list[Entry], *sources: Any, limits: Limits | None = None) -> Outcome:
    scratch = store.root.parent / "scratch"
    found = Repair(store.reader, store.take, sources, scratch, limits).run(entries)
    assert not scratch.exists()
    return found


@pytest.mark.parametrize("damage", [b"other", None])
def test_s16_an_object_is_put_back_from_a_copy_that_is_whole(store: Store, copy: Store, damage: bytes | None) -> None:
    name = copy.add(b"model")
    if damage is not None:
        store.put(name, damage)
    found = mended(store, [Entry("ml/model.onnx", name)], Copies("a cache", copy.reader))
    assert [(problem.path, source) for problem, source in found.repaired] == [("ml/model.onnx", "a cache")]
    assert (found.left, store.get(name)) == ([], b"model")


def test_s16_a_copy_that_is_damaged_too_is_not_put_back(store: Store, copy: Store) -> None:
    name = md5(b"model")
    store.put(name, b"damaged")
    copy.put(name, b"damaged as well")
    found = mended(store, [Entry("ml/model.onnx", name)], Copies("a cache", copy.reader))
    assert found.repaired == []
    assert [one.kind for one in found.left] == ["corrupt"]
    assert store.get(name) == b"damaged"


def test_s16_files_behind_a_lost_listing_are_put_back_too(store: Store, copy: Store) -> None:
    one, two = copy.add(b"1"), copy.add(b"2")
    listing = json.dumps([{"md5": one, "relpath": "a"}, {"md5": two, "relpath": "b"}]).encode()
    folder = copy.put(f"{md5(listing)}.dir", listing)
    store.add(b"2")
    found = mended(store, [Entry("ml/data", folder)], Copies("a cache", copy.reader))
    assert [problem.path for problem, _ in found.repaired] == ["ml/data", "ml/data/a"]
    assert found.left == []


def test_what_is_whole_is_left_alone_and_what_was_not_read_is_named(store: Store, copy: Store) -> None:
    small, large = store.add(b"small"), store.add(b"very large")
    entries = [Entry("small", small), Entry("large", large)]
    found = mended(store, entries, Copies("a cache", copy.reader), limits=Limits(object=6))
    assert found.repaired == []
    assert [(one.path, one.kind) for one in found.left] == [("large", "not verified")]


class Body:
    """What boto3 gives for an object's content."""

    def __init__(self, content: bytes) -> None:
        self.content, self.closed = content, False

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        yield self.content

    def close(self) -> None:
        self.closed = True


class Versioned:
    """A bucket's versions of one key, newest first, and of a key that begins like it."""

    def __init__(self, wanted: str, contents: list[bytes]) -> None:
        self.wanted, self.bodies = wanted, [Body(content) for content in contents]

    def get_paginator(self, name: str) -> "Versioned":
        assert name == "list_object_versions"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Generator[dict[str, Any], None, None]:  # noqa: N803 - boto3's names
        assert (Bucket, Prefix) == ("bucket", self.wanted)
        yield {"Versions": [{"Key": f"{Prefix}.dir", "VersionId": "x"}]}
        yield {"Versions": [{"Key": Prefix, "VersionId": str(number)} for number in range(len(self.bodies))]}

    def get_object(self, Bucket: str, Key: str, VersionId: str) -> dict[str, Any]:  # noqa: N803
        assert Key == self.wanted
        return {"Body": self.bodies[int(VersionId)]}


def test_s16_the_newest_version_that_is_the_object_is_taken(store: Store) -> None:
    name = md5(b"model")
    versions = Versioned(key("dvc", name), [b"junk", b"model", b"never read"])
    found = mended(store, [Entry("ml/model.onnx", name)], EarlierVersions(versions, "bucket", "dvc"))
    assert [source for _, source in found.repaired] == ["an earlier version in the bucket"]
    assert store.get(name) == b"model"
    assert [body.closed for body in versions.bodies] == [True, True, False]
