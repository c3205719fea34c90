"""What a run hands over in one object, also when whoever wrote it means no good."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from ci.store import Store
from mlplatform.objects import bundle
from mlplatform.objects.bundle import Bundle, BundleError
from mlplatform.objects.content import ObjectFault, read

KEY = "runs/bundle"
MODEL = b"model" * 1000
NAME = "7f9cbf2b7e2c1ba3dd5ba1b9a0a3e6e0"


@pytest.fixture
def store() -> Iterator[Store]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield Store("data", client)


def packed(files: dict[str, bytes], objects: dict[str, Path]) -> bytes:
    stream = io.BytesIO()
    assert bundle.write(stream, files, objects) == len(stream.getvalue())
    return stream.getvalue()


def opened(store: Store, content: bytes) -> Bundle:
    store.put(KEY, content)
    found = Bundle.open(store.client, store.bucket, KEY)
    assert found
    return found


def listed(index: object, rest: bytes = b"") -> bytes:
    head = index if isinstance(index, bytes) else json.dumps(index).encode()
    return len(head).to_bytes(4, "big") + head + rest


def test_what_was_written_is_read(store: Store, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(MODEL)
    (tmp_path / "empty").write_bytes(b"")
    objects = {NAME: tmp_path / "model", f"{'a' * 32}.dir": tmp_path / "empty"}
    found = opened(store, packed({"ml/dvc.lock": b"lock", "ml/none": b""}, objects))
    assert [found.file(path, 4) for path in found.files] == [b"lock", b""]
    model = found.read(NAME)
    assert model
    assert b"".join(model) == MODEL
    assert list(found.read(f"{'a' * 32}.dir") or ["?"]) == []
    assert found.read("b" * 32) is None


def test_a_large_index_takes_a_second_request(store: Store, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"m")
    objects = {f"{number:032x}": tmp_path / "model" for number in range(2000)}
    found = opened(store, packed({}, objects))
    assert len(found.objects) == 2000
    assert list(found.read(f"{1999:032x}") or []) == [b"m"]


def test_nothing_left_is_no_bundle(store: Store) -> None:
    assert Bundle.open(store.client, store.bucket, "runs/none") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "length of an index"),
        (b"abc", "length of an index"),
        (b"\0\0\0\0", "length of an index"),
        (b"\xff\xff\xff\xff" + b"x" * 100, "length of an index"),
        (listed(b"{"), "cannot be read"),
        (listed(b"\xff\xfe"), "cannot be read"),
        (listed(b"[" * 100_000), "cannot be read"),
        ((2**20).to_bytes(4, "big") + b"{}", "cannot be read"),
        (listed({"more": 1}), "cannot be read"),
        (listed({"objects": [{"md5": "../../etc/passwd", "size": 1}]}), "cannot be read"),
        (listed({"objects": [{"md5": "a" * 32, "size": -1}]}), "cannot be read"),
        (listed({"objects": [{"md5": "a" * 32, "size": 1e3}]}), "cannot be read"),
        (listed({"objects": [{"md5": "a" * 32, "size": 2**70}]}), "cannot be read"),
        (listed({"files": [{"path": "a", "size": 1}] * 2}), "names something twice"),
    ],
)
def test_hostile_indexes_are_refused(store: Store, content: bytes, reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        opened(store, content)


def test_what_is_shorter_than_its_index_says_is_cut_off_and_fails_its_hash(store: Store) -> None:
    index = {"files": [{"path": "a", "size": 8}], "objects": [{"md5": NAME, "size": 2**40}]}
    found = opened(store, listed(index, b"1234"))
    assert found.file("a", 8) == b"1234"
    with pytest.raises(ObjectFault, match="holds other content"):
        read(found, NAME, 2**41)


def test_a_file_larger_than_allowed_is_not_read(store: Store) -> None:
    found = opened(store, listed({"files": [{"path": "a", "size": 2**40}]}, b"1234"))
    with pytest.raises(BundleError, match="1000 are allowed"):
        found.file("a", 1000)


def test_too_many_objects_are_said_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MOST_INDEX", 100)
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(BundleError, match="4 objects are too many"):
        packed({}, {f"{number:032x}": tmp_path / "a" for number in range(4)})
