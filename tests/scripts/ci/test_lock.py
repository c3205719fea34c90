"""Freshness of a lock, without DVC; `test_lock_agrees_with_dvc` is where DVC has its say."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci import lock, pipeline
from ci.document import DocumentError
from ci.tree import Overlay

PIPELINE = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, data/digits]
    outs: [prepared]
  train:
    cmd: [python train.py, echo done]
    deps: [train.py, prepared, lib]
    params: [train, gate.tolerance, other.yaml: [a.b]]
    outs:
      - model: {persist: true}
    metrics:
      - metrics.json: {cache: false}
    plots:
      - plots: {cache: false}
"""


@dataclass
class Files:
    """A tree in memory."""

    content: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def files(self, folder: str) -> list[str]:
        return sorted(path for path in self.content if path.startswith(f"{folder}/"))


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()  # noqa: S324 - DVC's hash


def folder_md5(files: dict[str, bytes]) -> str:
    entries = [{"md5": md5(content), "relpath": name} for name, content in sorted(files.items())]
    return md5(json.dumps(entries, sort_keys=True).encode()) + ".dir"


DATA, PREPARED, MODEL = (f"{digit * 32}.dir" for digit in "123")


@pytest.fixture
def tree() -> Files:
    """A commit whose lock is fresh."""
    files = {
        "dvc.yaml": PIPELINE,
        "params.yaml": "train: {epochs: 3, rate: 0.1}\ngate: {tolerance: 0.005}\n",
        "other.yaml": "a: {b: [1, 2]}\n",
        "prepare.py": "prepare",
        "train.py": "train",
        "lib/b.py": "b",
        "lib/a/c.py": "c",
        "data/digits.dvc": f"outs:\n- md5: {DATA}\n  path: digits\n  hash: md5\n",
        "metrics.json": "{}",
        "plots/one.csv": "1",
        "dvc.lock": "",
    }
    content = {f"ml/{name}": text.encode() for name, text in files.items()}
    entry = {
        path: {"path": path, "hash": "md5", "md5": md5(content[f"ml/{path}"])} for path in ("prepare.py", "train.py")
    }
    for path, value in (("data/digits", DATA), ("prepared", PREPARED), ("model", MODEL)):
        entry[path] = {"path": path, "hash": "md5", "md5": value}
    entry["lib"] = {"path": "lib", "hash": "md5", "md5": folder_md5({"a/c.py": b"c", "b.py": b"b"})}
    entry["metrics.json"] = {"path": "metrics.json", "hash": "md5", "md5": md5(b"{}")}
    entry["plots"] = {"path": "plots", "hash": "md5", "md5": folder_md5({"one.csv": b"1"})}
    stages = {
        "prepare": {
            "cmd": "python prepare.py",
            "deps": [entry["data/digits"], entry["prepare.py"]],
            "outs": [entry["prepared"]],
        },
        "train": {
            "cmd": ["python train.py", "echo done"],
            "deps": [entry["lib"], entry["prepared"], entry["train.py"]],
            "params": {
                "params.yaml": {"train": {"epochs": 3, "rate": 0.1}, "gate.tolerance": 0.005},
                "other.yaml": {"a.b": [1, 2]},
            },
            "outs": [entry["metrics.json"], entry["model"], entry["plots"]],
        },
    }
    # JSON is YAML, without the anchors that a dump of shared entries has.
    content["ml/dvc.lock"] = json.dumps({"schema": "2.0", "stages": stages}).encode()
    return Files(content)


def problems(tree: Any) -> list[str]:
    return lock.problems(tree, pipeline.load(tree, "ml"))


def test_a_fresh_lock_has_no_problems(tree: Files) -> None:
    line = pipeline.load(tree, "ml")

    assert lock.problems(tree, line) == []
    assert line.in_git() == {"ml/metrics.json", "ml/plots"}
    assert line.inputs() == {
        "ml/data/digits",
        "ml/lib",
        "ml/other.yaml",
        "ml/params.yaml",
        "ml/prepare.py",
        "ml/train.py",
    }
    assert lock.remote_objects(tree, line) == {"ml/prepared": PREPARED, "ml/model": MODEL}


@pytest.mark.parametrize(
    ("path", "old", "new", "problem"),
    [
        ("train.py", "train", "other", "stage train: dependency ml/train.py changed"),
        ("lib/a/c.py", "c", "d", "stage train: dependency ml/lib changed"),
        ("data/digits.dvc", "1" * 32, "9" * 32, "stage prepare: dependency ml/data/digits changed"),
        ("params.yaml", "epochs: 3", "epochs: 4", "stage train: parameter train changed"),
        ("params.yaml", "epochs: 3", "epochs: 3.0", "stage train: parameter train changed"),
        ("params.yaml", "0.005", "0.5", "stage train: parameter gate.tolerance changed"),
        ("params.yaml", "gate:", "game:", "stage train: ml/params.yaml has no parameter gate.tolerance"),
        ("other.yaml", "[1, 2]", "[1]", "stage train: parameter a.b changed"),
        ("dvc.yaml", "python prepare.py", "python -O prepare.py", "stage prepare: its command changed"),
        ("dvc.yaml", "deps: [prepare.py, ", "deps: [", "stage prepare: dependency ml/prepare.py was removed"),
        ("dvc.yaml", "outs: [prepared]", "outs: [prepared, more]", "stage prepare: output ml/more is not in the lock"),
        ("dvc.yaml", "params: [train, ", "params: [", "stage train: parameter train was removed"),
        ("dvc.yaml", "  train:\n", "  fit:\n", "stage fit: never run"),
        ("dvc.yaml", "  train:\n", "  fit:\n", "stage train: in the lock but not in dvc.yaml"),
        ("metrics.json", "{}", "{ }", "stage train: output ml/metrics.json is not the one that the lock records"),
        ("plots/one.csv", "1", "2", "stage train: output ml/plots is not the one that the lock records"),
        ("dvc.lock", PREPARED, "9" * 32 + ".dir", "stage train: dependency ml/prepared changed"),
        ("dvc.lock", '"2.0"', '"1.0"', "ml/dvc.lock: schema must be '2.0'"),
        ("dvc.lock", MODEL, "../../../etc/passwd", "needs hash md5 and an MD5 of 32 hexadecimal digits"),
        ("dvc.lock", '"model"', '"../../model"', "leads out of the repository"),
        ("dvc.lock", '"stages"', '"stage"', "stage prepare: never run"),
        ("dvc.lock", "{", "[", "not readable as YAML"),
    ],
)
def test_what_makes_a_lock_stale(tree: Files, path: str, old: str, new: str, problem: str) -> None:
    text = tree.content[f"ml/{path}"].decode()
    assert old in text
    # The first prepared is the output, the second the dependency.
    tree.content[f"ml/{path}"] = text.replace(old, new, 1).encode()

    found = problems(tree)

    assert any(problem in entry for entry in found), found


PARAMETERS = "stages:\n  train:\n    cmd: x\n    params:\n    - {}\n    outs: [model]\n"
RECORDED = """
schema: '2.0'
stages:
  train:
    cmd: x
    params:
      params.yaml:
        {}
    outs: [{{path: model, hash: md5, md5: {}}}]
"""


@pytest.mark.parametrize(
    ("declared", "recorded", "now", "found"),
    [
        ("train", "train: {1: a, x: b}", "train: {1: a, x: b}", []),
        ("train", "train: {2020-01-01: a}", "train: {2020-01-01: a}", []),
        ("train", "train: [.nan]", "train: [.nan]", []),
        ("params.yaml: null", "{1: a, x: b, 2020-01-01: c}", "{1: a, x: b, 2020-01-01: c}", []),
        ("train", "train: {1: a, x: b}", "train: {1: a, x: c}", ["stage train: parameter train changed"]),
        ("train", "train: {1: a}", "train: {'1': a}", ["stage train: parameter train changed"]),
        ("train", "train: {1: a}", "train: {true: a}", ["stage train: parameter train changed"]),
        ("train", "train: [1]", "train: [true]", ["stage train: parameter train changed"]),
        ("params.yaml: null", "{x: b}", "{1: a, x: b}", ["stage train: parameter 1 was added"]),
    ],
)
def test_s26_keys_of_mixed_types_are_compared(declared: str, recorded: str, now: str, found: list[str]) -> None:
    files = {
        "dvc.yaml": PARAMETERS.format(declared),
        "params.yaml": now,
        "dvc.lock": RECORDED.format(recorded, "a" * 32),
    }

    assert problems(Files({f"ml/{name}": text.encode() for name, text in files.items()})) == found


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("dvc.lock", "ml/dvc.lock is missing"),
        ("train.py", "stage train: dependency ml/train.py is missing"),
        ("metrics.json", "stage train: output ml/metrics.json is missing"),
        ("plots/one.csv", "stage train: output ml/plots is missing"),
        ("other.yaml", "stage train: ml/other.yaml is missing"),
        ("data/digits.dvc", "stage prepare: dependency ml/data/digits is missing"),
    ],
)
def test_what_is_missing_makes_a_lock_stale(tree: Files, path: str, problem: str) -> None:
    del tree.content[f"ml/{path}"]

    assert problem in problems(tree)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("cmd: python prepare.py", "cmd: python ${script}", "does not support templates"),
        ("cmd: python prepare.py", "wdir: ..\n    cmd: python prepare.py", "does not support 'wdir'"),
        ("cmd: python prepare.py", "always_changed: true\n    cmd: x", "does not support 'always_changed'"),
        ("cmd: python prepare.py", "desc: x", "cmd"),
        ("cmd: python prepare.py", "cmd: [1]", "cmd: must be a list of texts"),
        ("  prepare:\n", "  prepare:\n    foreach: [1]\n", "does not support 'foreach'"),
        ("stages:", "vars: [a]\nstages:", "does not support 'vars'"),
        ("outs: [prepared]", "outs: [../.github/workflows/report.yml]", "must lie under ml/"),
        ("outs: [prepared]", "outs: [../../elsewhere]", "leads out of the repository"),
        ("outs: [prepared]", "outs: [/etc/passwd]", "is not a relative path"),
        ("outs: [prepared]", "outs: ['s3://bucket/key']", "is not a relative path"),
        ("outs: [prepared]", "outs: [dvc.yaml]", "no file of DVC's own"),
        ("outs: [prepared]", "outs: [.git/hooks/pre-push]", "is not a path of the repository's files"),
        ("outs: [prepared]", "outs: [x: {remote: other}]", "does not support 'remote'"),
        ("deps: [prepare.py, data/digits]", "deps: prepare.py", "deps: must be a list"),
        ("deps: [prepare.py, data/digits]", "deps: [1]", "must be a list of texts"),
        ("params: [train,", "params: [settings.toml: [a], train,", "reads YAML and JSON only"),
        ("stages:", "a: &a [1]\nb: *a\nstages:", "anchors and aliases are not allowed"),
        ("stages:", "- x\nstages:", "not readable as YAML"),
        ("  prepare:\n", f"  # {'x' * 2**18}\n  prepare:\n", "more than the"),
        ("stages:", "stages: !!python/object/apply:os.system [id]\nx:", "not readable as YAML"),
        ("stages:", "stages: " + "[" * 5000 + "\nx:", "not readable as YAML"),
    ],
)
def test_a_pipeline_that_is_not_understood_is_refused_by_name(tree: Files, old: str, new: str, reason: str) -> None:
    text = tree.content["ml/dvc.yaml"].decode()
    assert old in text
    tree.content["ml/dvc.yaml"] = text.replace(old, new, 1).encode()

    with pytest.raises(DocumentError) as caught:
        pipeline.load(tree, "ml")

    assert str(caught.value).startswith("ml/dvc.yaml: ")
    assert reason in str(caught.value)


def test_a_change_affects_the_pipeline_under_its_folder_or_in_a_file_it_reads(tree: Files) -> None:
    tree.content["ml/dvc.yaml"] = PIPELINE.replace("lib]", "../shared/lib]").encode()

    assert pipeline.affected(["ml/README.md"], tree, "ml")
    assert pipeline.affected(["shared/lib/x.py"], tree, "ml")
    assert not pipeline.affected(["README.md", "mlops/x", "shared/library"], tree, "ml")
    assert not pipeline.affected(["README.md"], Files(), "ml")


def test_an_overlay_replaces_whole_folders(tree: Files) -> None:
    overlay = Overlay(tree, frozenset({"ml/plots", "ml/metrics.json"}), {"ml/plots/two.csv": b"2"})

    assert overlay.read("ml/plots/one.csv") is None
    assert overlay.files("ml/plots") == ["ml/plots/two.csv"]
    assert overlay.read("ml/metrics.json") is None
    assert overlay.read("ml/train.py") == b"train"


def test_the_projects_own_pipeline_is_understood() -> None:
    root = Path(__file__).resolve().parents[3]
    files = {f"ml/{name}": (root / "ml" / name).read_bytes() for name in ("dvc.yaml", "params.yaml")}

    line = pipeline.load(Files(files), "ml")

    assert {"ml/metrics.json", "ml/plots/curves.csv", "ml/plots/confusion.csv"} == line.in_git()
