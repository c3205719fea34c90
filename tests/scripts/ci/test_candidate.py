"""What training leaves, when whoever wrote it means no good: the real store, hostile objects."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ci import candidate, pipeline
from ci.candidate import MOST_BYTES, MOST_FILES, CandidateError
from ci.store import Store

pytestmark = pytest.mark.tools

SHA = "a" * 40
DVC_YAML = b"""
stages:
  train:
    cmd: train
    deps: [train.py]
    outs: [model]
    metrics: [metrics.json: {cache: false}]
    plots: [plots: {cache: false}]
"""


COMMIT = {"ml/dvc.yaml": DVC_YAML, "ml/train.py": b"train", "ml/plots/old.csv": b"old"}
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
                {"path": "model", "hash": "md5", "md5": "1" * 32},
                {"path": "plots", "hash": "md5", "md5": f"{md5(PLOTS)}.dir"},
            ],
        }
    },
}
GOOD = {"ml/dvc.lock": json.dumps(LOCK).encode(), "ml/metrics.json": METRICS, "ml/plots/curves.csv": CURVES}


@pytest.fixture
def store(object_store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    connected = Store.connect("ml-data")
    yield connected
    for key in connected.sizes("runs/", 1000):
        connected.client.delete_object(Bucket="ml-data", Key=key)
    connected.client.close()


@pytest.fixture
def line() -> pipeline.Pipeline:
    return pipeline.load(Files(), "ml")


def accept(store: Store, line: pipeline.Pipeline) -> candidate.Candidate:
    found = candidate.download(store, SHA, line)
    assert found
    candidate.check(found, Files(), line)
    return found


def test_what_belongs_to_the_commit_is_accepted(store: Store, line: pipeline.Pipeline) -> None:
    candidate.upload(store, SHA, GOOD)

    found = accept(store, line)

    assert found.files == GOOD
    assert found.over(Files()).files("ml/plots") == ["ml/plots/curves.csv"]


def test_nothing_left_is_no_candidate(store: Store, line: pipeline.Pipeline) -> None:
    candidate.upload(store, "b" * 40, GOOD)

    assert candidate.download(store, SHA, line) is None


def test_a_candidate_without_its_lock_is_none_yet(store: Store, line: pipeline.Pipeline) -> None:
    candidate.upload(store, SHA, {"ml/metrics.json": METRICS})

    assert candidate.download(store, SHA, line) is None


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
    store: Store, line: pipeline.Pipeline, files: dict[str, bytes], reason: str
) -> None:
    candidate.upload(store, SHA, {**GOOD, **files})

    with pytest.raises(CandidateError) as caught:
        accept(store, line)

    assert reason in str(caught.value)
