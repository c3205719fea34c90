"""What training leaves, when whoever wrote it means no good: the real store, hostile objects."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import candidate, handover, pipeline, remote
from ci.candidate import MOST_BYTES, MOST_FILES, CandidateError
from ci.store import Store

pytestmark = pytest.mark.tools

# Far from those of the forge, with which other tests share the store.
RUN = 2 * 10**9
DVC_YAML = b"""
stages:
  train:
    cmd: train
    deps: [train.py]
    outs: [model]
    metrics: [metrics.json: {cache: false}]
    plots: [plots: {cache: false}]
"""


CONFIG = b"[core]\n remote = storage\n['remote \"storage\"']\n url = s3://ml-data/candidates/dvc\n"
COMMIT = {"ml/.dvc/config": CONFIG, "ml/dvc.yaml": DVC_YAML, "ml/train.py": b"train", "ml/plots/old.csv": b"old"}
METRICS = b'{"accuracy": 0.9}'
CURVES = b"epoch\n1\n"


class Files:
    """The commit's files."""

    def read(self, path: str) -> bytes | None:
        return COMMIT.get(path)

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in COMMIT if path.startswith(f"{folder}/"))


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - DVC's hash


PLOTS = json.dumps([{"md5": md5(CURVES), "relpath": "curves.csv"}]).encode()
LOCK = {
    "schema": "2.0",
    "stages": {
        "train": {
            "cmd": "train",
            "deps": [{"path": "train.py", "hash": "md5", "md5": md5(b"train")}],
            "outs": [
                {"path": "metrics.json", "hash": "md5", "md5": md5(METRICS)},
                {"path": "model", "hash": "md5", "md5": md5(b"model")},
                {"path": "plots", "hash": "md5", "md5": f"{md5(PLOTS)}.dir"},
            ],
        }
    },
}
GOOD = {"ml/dvc.lock": json.dumps(LOCK).encode(), "ml/metrics.json": METRICS, "ml/plots/curves.csv": CURVES}


@pytest.fixture(autouse=True)
def _tidy(store: Store) -> Iterator[None]:
    yield
    store.client.delete_object(Bucket=store.bucket, Key=handover.key(RUN))
    for name in (b"model", b"one", b"two"):
        store.client.delete_object(Bucket=store.bucket, Key=key(md5(name)))


def key(name: str) -> str:
    return f"candidates/dvc/files/md5/{name[:2]}/{name[2:]}"


def leave(store: Store, cache: Path, files: dict[str, bytes], *named: str) -> None:
    """What a run leaves that has these objects in its cache."""

    def has(name: str) -> bool:
        return store.has(key(name))

    stream = io.BytesIO()
    candidate.write(stream, files, named, cache, has)
    store.put(handover.key(RUN), stream.getvalue())


def cached(cache: Path, content: bytes, name: str = "") -> str:
    name = name or md5(content)
    path = cache / "files" / "md5" / name[:2] / name[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


@pytest.fixture
def line() -> pipeline.Pipeline:
    return pipeline.load(Files(), "ml")


def accept(store: Store, line: pipeline.Pipeline) -> candidate.Candidate:
    left = candidate.opened(store, RUN)
    assert left
    found = candidate.read(left, line)
    candidate.check(found, Files(), line)
    return found


def take(store: Store, path: Path, name: str) -> list[str]:
    left = candidate.opened(store, RUN)
    assert left
    return remote.take(Files(), "ml", {"ml/model": name}, left, path / "scratch")


def test_what_belongs_to_the_commit_is_accepted(store: Store, line: pipeline.Pipeline, tmp_path: Path) -> None:
    leave(store, tmp_path, GOOD)

    found = accept(store, line)

    assert found.files == GOOD
    assert found.over(Files()).files("ml/plots") == ["ml/plots/curves.csv"]


def test_nothing_left_is_no_candidate(store: Store) -> None:
    assert candidate.opened(store, RUN) is None


def test_a_candidate_without_its_lock_is_refused(store: Store, line: pipeline.Pipeline, tmp_path: Path) -> None:
    leave(store, tmp_path, {"ml/metrics.json": METRICS})

    with pytest.raises(CandidateError, match=r"ml/dvc\.lock is missing"):
        accept(store, line)


def test_j_what_the_lock_names_is_taken_into_the_remote_by_hash(store: Store, tmp_path: Path) -> None:
    name = cached(tmp_path, b"model")
    leave(store, tmp_path, GOOD, name)

    assert take(store, tmp_path, name) == []

    assert store.get(key(name), 100) == b"model"
    # What is there already does not travel again.
    leave(store, tmp_path, GOOD, name)
    left = candidate.opened(store, RUN)
    assert left
    assert not left.objects
    assert take(store, tmp_path, name) == []


def test_j_the_files_of_a_folder_are_taken_with_it(store: Store, tmp_path: Path) -> None:
    one, two = cached(tmp_path, b"one"), cached(tmp_path, b"two")
    listing = json.dumps([{"md5": one, "relpath": "1"}, {"md5": two, "relpath": "2"}]).encode()
    name = cached(tmp_path, listing, f"{md5(listing)}.dir")
    leave(store, tmp_path, GOOD, name)

    assert take(store, tmp_path, name) == []

    assert (store.get(key(one), 100), store.get(key(two), 100)) == (b"one", b"two")
    store.client.delete_object(Bucket=store.bucket, Key=key(name))


def test_s4_an_object_with_other_content_is_not_taken(store: Store, tmp_path: Path) -> None:
    name = cached(tmp_path, b"forged", md5(b"model"))
    leave(store, tmp_path, GOOD, name)

    assert take(store, tmp_path, name) == [f"ml/model: object {name} is missing"]
    assert not store.has(key(name))


def test_s4_an_object_that_the_lock_does_not_name_is_not_taken(store: Store, tmp_path: Path) -> None:
    name, more = cached(tmp_path, b"model"), cached(tmp_path, b"one")
    leave(store, tmp_path, GOOD, name, more)

    assert take(store, tmp_path, name) == []
    assert not store.has(key(more))


def test_s16_a_damaged_object_of_the_remote_is_replaced_by_what_the_run_made(store: Store, tmp_path: Path) -> None:
    name = cached(tmp_path, b"model")
    leave(store, tmp_path, GOOD, name)
    store.put(key(name), b"rotten")

    assert take(store, tmp_path, name) == []
    assert store.get(key(name), 100) == b"model"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"ml/train.py": b"evil"}, "is no output in git of the pipeline"),
        ({".github/workflows/report.yml": b"evil"}, "is no output in git of the pipeline"),
        ({"ml/plots/../train.py": b"evil"}, "is no output in git of the pipeline"),
        ({"ml/plots/more.csv": b"x"}, "output ml/plots is not the one that the lock records"),
        ({"ml/metrics.json": b'{"accuracy": 1.0}'}, "output ml/metrics.json is not the one that the lock records"),
        ({"ml/metrics.json": b"x" * (MOST_BYTES + 1)}, f"{MOST_BYTES} are allowed"),
        ({"ml/plots/x.png": b"\x89PNG\xff"}, "is not text: track it with DVC"),
        ({f"ml/plots/{n}": b"x" for n in range(MOST_FILES)}, f"more than {MOST_FILES} files"),
        ({"ml/dvc.lock": b"stages: &a [*a]"}, "not readable as YAML"),
        ({"ml/dvc.lock": b"schema: '2.0'\nstages: {}"}, "stage train: never run"),
        (
            {"ml/dvc.lock": GOOD["ml/dvc.lock"].replace(md5(b"train").encode(), b"0" * 32)},
            "dependency ml/train.py changed",
        ),
        ({"ml/dvc.lock": GOOD["ml/dvc.lock"].replace(b'"cmd": "train"', b'"cmd": "evil"')}, "its command changed"),
        ({"ml/dvc.lock": b" " * (MOST_BYTES + 1)}, f"{MOST_BYTES} are allowed"),
    ],
)
def test_hostile_candidates_are_refused(
    store: Store, line: pipeline.Pipeline, files: dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    leave(store, tmp_path, {**GOOD, **files})

    with pytest.raises(CandidateError) as caught:
        accept(store, line)

    assert reason in str(caught.value)
