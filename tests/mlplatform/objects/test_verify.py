"""Content of a DVC remote against a lock: a folder's, and a bucket's of an S3 server."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mlplatform.objects.verify import Entry, FolderReader, Limits, Problem, Reader, S3Reader, verify

MODEL, IMAGE, LABELS = b"a model" * 100, b"an image", b"labels"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - DVC's hash


def listing(files: dict[str, bytes]) -> bytes:
    return json.dumps([{"md5": md5(text), "relpath": name} for name, text in sorted(files.items())]).encode()


FILES = {"images/0.png": IMAGE, "images/1.png": IMAGE, "labels.csv": LABELS}
DATA = listing(FILES)
LOCK = [
    Entry("ml/data", f"{md5(DATA)}.dir", 2 * len(IMAGE) + len(LABELS)),
    Entry("ml/model.onnx", md5(MODEL), len(MODEL)),
]


class Bucket:
    """A remote in an S3 server of this process."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.reader: Reader = S3Reader(client, "data", "project/dvc/")

    def put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket="data", Key=f"project/dvc/files/md5/{name[:2]}/{name[2:]}", Body=content)

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket="data", Key=f"project/dvc/files/md5/{name[:2]}/{name[2:]}")


class Folder:
    """A remote in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root / "files" / "md5"
        self.reader: Reader = FolderReader(root)

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name[:2] / name[2:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, name: str) -> None:
        (self._root / name[:2] / name[2:]).unlink()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket="data")
    yield client
    client.close()
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A remote with all that LOCK names."""
    place = Folder(tmp_path) if request.param == "folder" else Bucket(request.getfixturevalue("client"))
    place.put(f"{md5(DATA)}.dir", DATA)
    for content in (MODEL, IMAGE, LABELS):
        place.put(md5(content), content)
    return place


def found(remote: Any, *entries: Entry, limits: Limits | None = None) -> list[Problem]:
    return verify(entries or LOCK, remote.reader, limits)


def test_a_whole_store_has_no_problem(remote: Any) -> None:
    assert found(remote) == []


def test_s16_a_model_that_was_overwritten_is_found_by_its_content(remote: Any) -> None:
    remote.put(md5(MODEL), b"garbage")

    [problem] = found(remote)

    assert (problem.path, problem.kind) == ("ml/model.onnx", "corrupt")
    assert problem.reason == (
        f"ml/model.onnx: object {md5(MODEL)} holds other content: 7 bytes with the MD5 {md5(b'garbage')}"
    )


def test_s16_content_of_the_same_length_is_no_disguise(remote: Any) -> None:
    remote.put(md5(IMAGE), IMAGE[:-1] + b"?")

    assert [(one.path, one.kind) for one in found(remote)] == [
        ("ml/data/images/0.png", "corrupt"),
        ("ml/data/images/1.png", "corrupt"),
    ]


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (md5(MODEL), ["ml/model.onnx"]),
        (f"{md5(DATA)}.dir", ["ml/data"]),
        (md5(LABELS), ["ml/data/labels.csv"]),
    ],
)
def test_what_is_missing_is_named(remote: Any, name: str, paths: list[str]) -> None:
    remote.remove(name)

    problems = found(remote)

    assert [one.path for one in problems] == paths
    assert problems[0].reason == f"{paths[0]}: object {name} is missing"
    assert problems[0].kind == "missing"


def test_a_listing_that_was_overwritten_is_not_followed(remote: Any) -> None:
    remote.put(f"{md5(DATA)}.dir", listing({"labels.csv": b"others"}))

    assert [(one.path, one.kind) for one in found(remote)] == [("ml/data", "corrupt")]


def test_a_size_that_the_lock_makes_up_is_found(remote: Any) -> None:
    wrong = [Entry(entry.path, entry.md5, (entry.size or 0) + 1) for entry in LOCK]

    assert [(one.path, one.kind) for one in found(remote, *wrong)] == [
        ("ml/data", "corrupt"),
        ("ml/model.onnx", "corrupt"),
    ]
    assert found(remote, *(Entry(entry.path, entry.md5) for entry in LOCK)) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not json", "is no listing of a folder"),
        (b"[" * 100_000, "is no listing of a folder"),
        (b'{"md5": 1}', "is no listing of a folder"),
        (b"7", "is no listing of a folder"),
        (b'[{"relpath": "a", "md5": "../../../etc/passwd"}]', "lists 'ml/x/a' without an MD5"),
        (b'[{"relpath": "a", "md5": ["a"]}]', "lists 'ml/x/a' without an MD5"),
        (listing({"../../.git/config": b"x"}), "lists 'ml/x/../../.git/config', which leads out of the folder"),
        (listing({str(number): IMAGE for number in range(11)}), "lists 11 files, more than the 10 allowed"),
    ],
)
def test_a_hostile_listing_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    remote = Folder(tmp_path)
    remote.put(f"{md5(content)}.dir", content)

    [problem] = found(remote, Entry("ml/x", f"{md5(content)}.dir"), limits=Limits(files=10))

    assert problem.reason == f"ml/x: object {md5(content)}.dir {reason}"


@pytest.mark.parametrize("name", ["", "x" * 32, "../../../etc/passwd", "A" * 32, f"{'a' * 32}.dir.dir"])
def test_a_lock_without_an_md5_is_refused(tmp_path: Path, name: str) -> None:
    [problem] = found(Folder(tmp_path), Entry("ml/model.onnx", name))

    assert "is no MD5" in problem.reason


@pytest.mark.parametrize(
    ("limits", "paths"),
    [
        (Limits(object=len(MODEL) - 1), ["ml/model.onnx"]),
        (Limits(listing=len(DATA) - 1), ["ml/data"]),
        (Limits(total=len(DATA) + len(IMAGE) + len(LABELS) + len(MODEL) - 1), ["ml/model.onnx"]),
    ],
)
def test_no_more_is_read_than_allowed(remote: Any, limits: Limits, paths: list[str]) -> None:
    problems = found(remote, limits=limits)

    assert [(one.path, one.kind) for one in problems] == [(path, "not verified") for path in paths]


def test_an_object_beyond_the_limit_is_left_where_the_limit_is_reached() -> None:
    read = []

    class Endless:
        def read(self, md5: str) -> Any:
            def pieces() -> Iterator[bytes]:
                try:
                    while True:
                        read.append(1)
                        yield b"x" * 1000
                finally:
                    read.append(0)

            return pieces()

    [problem] = verify([Entry("ml/x", "a" * 32)], Endless(), Limits(object=10_000))

    assert problem.kind == "not verified"
    assert read == [1] * 11 + [0]


def test_a_shared_object_is_read_once(tmp_path: Path) -> None:
    remote = Folder(tmp_path)
    remote.put(md5(MODEL), MODEL)
    names: list[str] = []

    class Counted:
        read: Callable[[str], Any]

        def __init__(self) -> None:
            self.read = lambda name: (names.append(name), remote.reader.read(name))[1]

    assert verify([Entry("a", md5(MODEL)), Entry("b", md5(MODEL))], Counted()) == []
    assert names == [md5(MODEL)]
