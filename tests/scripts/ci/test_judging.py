"""What the gate makes of pull requests that have one fault each: fetched, compared and measured by the real job on a
real object store; only the forge has no part in it."""

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import measured_project
from ci import fetch, git, lock, measurements, pipeline, release
from ci.judging import Judged, Judging
from ci.measurements import Measurements
from ci.store import Store
from ci.tree import CommitTree
from measured_place import RUN, Place, md5
from mlplatform.evaluation.declaration import Kind
from mlplatform.evaluation.judgement import UNCOMPARED, UNMEASURED, UNSEARCHED, Number, Verdict
from mlplatform.evaluation.scope import Ask

pytestmark = pytest.mark.tools

PREPARE, TRAIN, RAW, EXTRA = "# prepares\n", "# trains\n", "ml/data/raw", "ml/data/extra.safetensors"
DECLARATION = (
    measured_project.DECLARATION.replace("cpu_seconds: 30", "cpu_seconds: 6")
    .replace("ml/data/digits.dvc", "ml/data/raw.dvc, ml/data/extra.safetensors.dvc")
    .replace("metrics:\n", f"training_data: [ml/prepared, {EXTRA}]\nmetrics:\n")
)


def pointer(path: str, content: str) -> dict[str, str]:
    return {f"{path}.dvc": f"outs:\n- {{md5: '{content}', hash: md5, path: {Path(path).name}}}\n"}


def listing(files: Mapping[str, bytes]) -> bytes:
    return json.dumps([{"md5": md5(content), "relpath": name} for name, content in files.items()]).encode()


@dataclass(frozen=True)
class Change:
    """A pull request: what its run made of what, and which files of git it changes."""

    model: bytes
    training: bytes
    extra: bytes
    seed: int = 20
    files: Mapping[str, str] = field(default_factory=dict)
    reads_raw: bool = False
    accuracy: float = 0.75
    """What it says of itself."""

    @property
    def prepared(self) -> dict[str, bytes]:
        return {"train.safetensors": self.training}

    def tracked(self) -> dict[str, str]:
        """Its files, with the lock that its run left."""
        raw = ["data/raw"] if self.reads_raw else []
        metrics = json.dumps({"accuracy": self.accuracy, "loss": 1 - self.accuracy})
        stages: dict[str, dict[str, Any]] = {
            "prepare": {"cmd": "p", "deps": ["prepare.py", "data/raw"], "params": ["prepare"], "outs": ["prepared"]},
            "train": {
                "cmd": "t",
                "deps": ["train.py", "prepared", *raw, "data/extra.safetensors"],
                "outs": ["model/model.onnx"],
            },
        }
        found = {
            "prepare.py": md5(PREPARE.encode()),
            "train.py": md5(TRAIN.encode()),
            "data/raw": "a" * 32,
            "data/extra.safetensors": md5(self.extra),
            "prepared": f"{md5(listing(self.prepared))}.dir",
            "model/model.onnx": md5(self.model),
            "metrics.json": md5(metrics.encode()),
        }
        locked: dict[str, Any] = {
            name: {
                "cmd": stage["cmd"],
                **{
                    kind: [{"path": path, "hash": "md5", "md5": found[path]} for path in stage[kind]]
                    for kind in ("deps", "outs")
                },
            }
            for name, stage in stages.items()
        }
        # An output too, which git tracks.
        stages["train"]["metrics"] = [{"metrics.json": {"cache": False}}]
        locked["train"]["outs"].append({"path": "metrics.json", "hash": "md5", "md5": found["metrics.json"]})
        locked["prepare"]["params"] = {"params.yaml": {"prepare": {"seed": self.seed, "validation_fraction": 0.3}}}
        return {
            "ml/prepare.py": PREPARE,
            "ml/train.py": TRAIN,
            "ml/metrics.json": metrics,
            "ml/dvc.yaml": json.dumps({"stages": stages}),
            "ml/dvc.lock": json.dumps({"schema": "2.0", "stages": locked}),
            "ml/params.yaml": measured_project.parameters()["ml/params.yaml"].replace("seed: 20", f"seed: {self.seed}"),
            **pointer(RAW, "a" * 32),
            **pointer(EXTRA, md5(self.extra)),
            **self.files,
        }


@dataclass(frozen=True)
class Gate:
    """Main, and what is made of pull requests into it."""

    place: Place
    materials: Mapping[str, bytes]

    def change(
        self, model: bytes | None = None, training: str = "training", extra: str = "training", **more: Any
    ) -> str:
        """Push a branch whose run made this; its commit."""
        made = Change(model or self.materials["good"], self.materials[training], self.materials[extra], **more)
        self.store(made)
        return self.place.commit(made.tracked())

    def store(self, made: Change) -> None:
        for content in (made.model, made.training, made.extra):
            self.place.put(content)
        content = listing(made.prepared)
        self.place.put(content, name=f"{md5(content)}.dir")

    def test_set(self, name: str) -> dict[str, str]:
        """Upload a test set, as whoever may; what git tracks of it."""
        self.place.put(self.materials[name], "-test")
        return measured_project.test_set_pointer(md5(self.materials[name]))

    def judge(self, sha: str, asks: Sequence[Ask] = ()) -> Judged:
        repository = git.Repository(self.place.root)
        main, tree = CommitTree(repository, self.place.git("rev-parse", "main")), CommitTree(repository, sha)
        declared = measurements.rules(main)
        assert declared
        assert lock.problems(tree, pipeline.load(tree, "ml")) == []
        return Judging(repository, self.place.store, self.place.root).judge(main, tree, declared, asks)

    def fetch(self, sha: str | None = None) -> str:
        repository = git.Repository(self.place.root)
        main = CommitTree(repository, self.place.git("rev-parse", "main"))
        declared = measurements.rules(main)
        assert declared
        folder = self.place.empty()
        kept = Measurements(self.place.store, self.place.root)
        trained = fetch.Trained(sha, RUN) if sha else None
        return fetch.Fetch(repository, self.place.store, kept, folder).fetch(main, declared, trained)

    def measure(self, sha: str | None = None) -> str:
        """Both halves of the job."""
        return f"{self.fetch(sha)}\n{self.place.run('evaluate', {})}"


@pytest.fixture(scope="module")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    return measured_project.materials(tmp_path_factory.mktemp("materials") / "made")


@pytest.fixture(scope="module")
def gates(
    materials: Mapping[str, bytes],
    write_project: Callable[[str, Mapping[str, str]], Path],
    object_store: Any,
    jobs_cache: Path,
) -> Iterator[Callable[..., Gate]]:
    """A function that makes a project whose main has a model, the good one by default, that nobody measured."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.variables.items():
            patch.setenv(name, value)
        variables = {**os.environ, "CACHE_DIR": str(jobs_cache)}
        count = iter(range(100))

        def make(model: str = "good") -> Gate:
            prefix = f"judging-{next(count)}/dvc"
            first = Change(materials[model], materials["training"], materials["training"])
            tracked = {**measured_project.files(md5(materials["test"])), "ml/evaluation.yaml": DECLARATION}
            root = write_project(prefix, {**tracked, **first.tracked()})
            gate = Gate(Place(root, prefix, Store.connect("ml-data"), variables), materials)
            gate.place.begin()
            gate.place.put(materials["test"], "-test")
            gate.store(first)
            gate.place.forget()
            return gate

        yield make


@pytest.fixture(scope="module")
def gate(gates: Callable[..., Gate]) -> Gate:
    """Whose main is measured. What is measured of one pull request is kept for the next."""
    made = gates()
    made.measure()
    return made


TEST_SET_ASK = "main cannot judge ml/data/test.safetensors.dvc: models are measured on it"
BYTES = random.Random(7)
FAULTS: dict[str, tuple[Callable[[Gate], Mapping[str, Any]], str, str]] = {
    "worse model": (
        lambda gate: {"model": gate.materials["worse"]},
        "failure",
        "accuracy 0.5000, main 1.0000 (-0.5000): it may fall by 0.005 at most",
    ),
    "random file": (
        lambda gate: {"model": BYTES.randbytes(41_000)},
        "failure",
        "the model was refused: the file is not an ONNX model",
    ),
    "file of seven bytes": (
        lambda gate: {"model": b"onnx\n\0\1"},
        "failure",
        "the model was refused: the file is not an ONNX model",
    ),
    "truncated file": (
        lambda gate: {"model": gate.materials["good"][:-40]},
        "failure",
        "the model was refused: the file is not an ONNX model",
    ),
    "external data": (
        lambda gate: {"model": gate.materials["outside"]},
        "failure",
        "the model was refused: the tensor weights keeps its data outside of the file in ../../secrets",
    ),
    "foreign operator": (
        lambda gate: {"model": gate.materials["foreign"]},
        "failure",
        "the model was refused: it uses the operator set com.microsoft",
    ),
    "endless loop": (
        lambda gate: {"model": gate.materials["endless"]},
        "failure",
        "the model was refused: it took more than",
    ),
    "other shape": (
        lambda gate: {"model": gate.materials["narrow"]},
        "pending",
        "main cannot judge the model: its inputs are pixels uint8[?, 2, 2]; main's are pixels uint8[?, 4]",
    ),
    "evaluation code that prints 1.0": (
        lambda gate: {
            "model": gate.materials["worse"],
            "files": {
                "ml/src/toy/score.py": "def score(outputs, targets):\n    return {'accuracy': 1.0, 'mistakes': 0}\n"
            },
        },
        "pending",
        "main cannot judge ml/src/toy/score.py: it decides how models are measured",
    ),
    "changed split seed": (
        # Which rows are for testing is none of its business: the worse model is found out on the same 40.
        lambda gate: {"model": gate.materials["worse"], "training": "resplit", "seed": 21},
        "failure",
        "accuracy 0.5000, main 1.0000 (-0.5000): it may fall by 0.005 at most",
    ),
    "test rows in what is prepared": (
        lambda gate: {"training": "leaking"},
        "failure",
        "ml/prepared/train.safetensors (of ml/dvc.lock) shows 3 rows of the test set, on which no model may train",
    ),
    "test rows in data of a .dvc file": (
        lambda gate: {"extra": "leaking"},
        "failure",
        f"{EXTRA} (of {EXTRA}.dvc) shows 3 rows of the test set, on which no model may train",
    ),
    "training data in another form": (
        lambda gate: {"training": "floats"},
        "pending",
        "main cannot judge ml/prepared/train.safetensors (of ml/dvc.lock): it holds images float32[?, 4], where",
    ),
    "training on raw data": (
        lambda gate: {"reads_raw": True},
        "pending",
        "main cannot judge ml/dvc.yaml (stage train): it reads ml/data/raw, in which main does not look for rows",
    ),
    "loosened tolerance": (
        lambda gate: {
            "model": gate.materials["worse"],
            "files": {"ml/evaluation.yaml": DECLARATION.replace("tolerance: 0.005", "tolerance: 0.9")},
        },
        "failure",
        "accuracy 0.5000, main 1.0000 (-0.5000): it may fall by 0.005 at most",
    ),
    "dropped test rows": (
        lambda gate: {"files": gate.test_set("fewer")},
        "pending",
        f"{TEST_SET_ASK}, and 10 of main's 40 rows were dropped or changed: an owner's approval is asked",
    ),
    "chosen test rows": (
        lambda gate: {"files": gate.test_set("chosen")},
        "pending",
        f"{TEST_SET_ASK}, and 5 of the 5 new rows belong to the training data by main's rule",
    ),
    "old test rows drowned in new ones": (
        lambda gate: {"files": gate.test_set("drowned")},
        "pending",
        f"{TEST_SET_ASK}, and 37 rows are new, of which main takes 36 by itself beside its 40 (test_set.growth: 0.9)",
    ),
    "test set moved to another remote": (
        lambda gate: {
            "files": {
                path: text.replace("remote: test", "remote: storage") for path, text in gate.test_set("grown").items()
            }
        },
        "pending",
        f"{TEST_SET_ASK}, and its file says more than another content",
    ),
    "new test rows in the training data": (
        lambda gate: {"training": "leaking-new", "files": gate.test_set("grown")},
        "failure",
        "ml/prepared/train.safetensors (of ml/dvc.lock) shows 2 rows of the test set, on which no model may train",
    ),
    "test set that nobody uploaded": (
        lambda gate: {"files": measured_project.test_set_pointer("f" * 32)},
        "failure",
        f"object {'f' * 32} is missing",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_s4_one_fault_is_found(gate: Gate, name: str) -> None:
    made, state, summary = FAULTS[name]
    sha = gate.change(**made(gate))
    gate.measure(sha)

    verdict = gate.judge(sha).verdict

    assert (verdict.state, verdict.summary[: len(summary)]) == (state, summary)


def test_s4_typed_metrics_and_lock_decide_nothing(gates: Callable[..., Gate]) -> None:
    """Nothing else is wrong: the model is main's own, and the lock is fresh, with the hash of what was typed."""
    gate = gates("worse")
    gate.measure()
    sha = gate.change(gate.materials["worse"], accuracy=1.0)
    assert gate.measure(sha).startswith("everything is measured")

    judged = gate.judge(sha)

    assert judged.verdict == Verdict("success", "accuracy 0.5000, main 0.5000 (+0.0000)")
    assert judged.numbers[0] == Number("accuracy", 0.5, 0.5, "measured by main")
    assert [one for one in judged.numbers if one.source != "measured by main"] == [
        Number("accuracy", None, 1.0, "reported by the run"),
        Number("loss", None, 0.0, "reported by the run"),
    ]
    # Nor does it once it is merged: no honest model has to be as good as what was typed.
    gate.place.git("merge", "--quiet", "--ff-only", sha)
    honest = gate.judge(gate.change(gate.materials["worse"], accuracy=0.5))
    assert honest.verdict == judged.verdict


@pytest.mark.parametrize(
    ("made", "rows"),
    [
        (lambda gate: {"model": gate.materials["architecture"]}, 40),
        (lambda gate: {"training": "resplit", "seed": 21}, 40),
        (lambda gate: {"files": gate.test_set("grown")}, 40),
    ],
    ids=["new architecture with preprocessing in the graph", "another order of the data", "grown test set"],
)
def test_s4_what_main_can_judge_needs_no_owner(gate: Gate, made: Callable[[Gate], Any], rows: int) -> None:
    sha = gate.change(**made(gate))
    gate.measure(sha)

    judged = gate.judge(sha)

    assert judged.verdict.state == "success"
    assert judged.verdict.summary == "accuracy 1.0000, main 1.0000 (+0.0000)"
    found = gate.place.look(sha)
    assert found is not None
    assert found.rows == rows

    # Unless it brings something besides that is not to be measured.
    asked = gate.judge(sha, [Ask("apps/x", Kind.UNKNOWN, "it is so")]).verdict
    assert (asked.state, asked.summary) == (
        "pending",
        "main cannot judge apps/x: it is so: an owner's approval is asked",
    )


@pytest.mark.parametrize("content", [None, b"other"], ids=["missing", "corrupt"])
def test_s16_an_object_is_found_by_its_hash_also_when_the_model_is_measured(gate: Gate, content: bytes | None) -> None:
    sha = gate.change(training="resplit", extra="resplit", seed=21)
    gate.measure(sha)
    assert gate.judge(sha).verdict.state == "success"

    listed = listing({"train.safetensors": gate.materials["resplit"]})
    for name, good in (
        (md5(gate.materials["good"]), gate.materials["good"]),
        (md5(gate.materials["resplit"]), gate.materials["resplit"]),
        (f"{md5(listed)}.dir", listed),
    ):
        gate.place.spoil(name, content)
        verdict = gate.judge(sha).verdict
        gate.place.put(good, name=name)
        assert verdict.state == "failure", name
        assert name in verdict.summary
        assert "scripts/repair-data puts it back" in verdict.summary
    assert gate.judge(sha).verdict.state == "success"


def test_s4_a_first_model_is_an_owners_and_has_to_reach_mains_limits(gates: Callable[..., Gate]) -> None:
    gate = gates()
    good, worse = gate.materials["good"], gate.materials["worse"]
    gate.place.lose(good)
    gate.place.git("rm", "--quiet", "ml/dvc.lock")
    gate.place.git("commit", "--quiet", "--message", "Forget the model")
    assert gate.measure() == "everything is measured: nothing to do\nnothing was fetched: nothing to measure\n"

    for model, state, summary in (
        (good, "pending", "no baseline: main has no model to compare with: an owner's approval is asked"),
        (worse, "failure", "accuracy 0.5000 does not reach main's limit of 0.8"),
    ):
        sha = gate.change(model)
        gate.measure(sha)
        verdict = gate.judge(sha).verdict
        assert (verdict.state, verdict.summary) == (state, summary)


def test_c10_a_grown_test_set_is_compared_and_merged_and_everything_is_measured_anew(
    gates: Callable[..., Gate],
) -> None:
    gate = gates()
    gate.measure()
    tip = gate.place.git("rev-parse", "main")
    grown, training = gate.change(files=gate.test_set("grown")), gate.change(gate.materials["architecture"])
    repository = git.Repository(gate.place.root)

    # Nobody is asked before main's code has looked, and nothing passes.
    judged = gate.judge(grown)
    assert (judged.waits, judged.verdict.summary) == (True, UNCOMPARED)
    assert any(reason.startswith(UNSEARCHED) for reason in judged.verdict.reasons)
    assert "the new test set is compared with main's" in gate.measure(grown)
    assert gate.judge(grown).verdict.state == "success"
    # Once is enough.
    assert gate.fetch(grown) == "everything is measured: nothing to do"
    gate.measure(training)
    assert gate.judge(training).verdict.state == "success"
    assert release.measured_of(CommitTree(repository, tip), gate.place.store, gate.place.root)[1] == ""

    gate.place.git("merge", "--quiet", "--ff-only", grown)
    main = CommitTree(repository, grown)
    judged = gate.judge(training)
    assert (judged.waits, judged.verdict.state, judged.verdict.summary) == (True, "pending", UNMEASURED)
    metrics, why = release.measured_of(main, gate.place.store, gate.place.root)
    assert (metrics, why) == (None, "main's model is not measured by main's evaluator yet")

    # What a push starts, and the clock where the event was lost: main's model first, then what waits on branches.
    gate.place.git("update-ref", "refs/remotes/origin/training", training)
    assert f"is measured: {md5(gate.materials['good'])}" in gate.measure()
    assert release.measured_of(main, gate.place.store, gate.place.root)[1] == ""
    assert gate.judge(training).waits
    assert gate.measure().startswith(f"{training}: the candidate is measured")
    assert gate.judge(training).verdict.state == "success"
    assert gate.measure() == "everything is measured: nothing to do\nnothing was fetched: nothing to measure\n"


def test_c10_a_branch_whose_data_are_lost_does_not_have_another_measured_in_its_name(
    gates: Callable[..., Gate],
) -> None:
    gate = gates()
    gate.measure()
    other = gate.change(BYTES.randbytes(400))
    gate.measure(other)
    lost = gate.change(gate.materials["architecture"], extra="leaking")
    gate.place.lose(gate.materials["leaking"])
    for name, sha in (("first", lost), ("second", other)):
        gate.place.git("update-ref", f"refs/remotes/origin/{name}", sha)

    assert gate.fetch().startswith(f"{lost}: ")
    assert (gate.place.root.parent / "evaluation" / fetch.CANDIDATE).read_bytes() == gate.materials["architecture"]


def test_c10_rows_that_both_gain_are_found_before_either_is_merged(gate: Gate) -> None:
    """Raw data grow, and with them both sides; what is new in one is not to be in the other."""
    sha = gate.change(extra="leaking-new", files=gate.test_set("grown"))
    alone = gate.change(extra="leaking-new")
    gate.measure(sha)
    gate.measure(alone)

    assert gate.judge(alone).verdict.state == "success"
    assert gate.judge(sha).verdict.summary.startswith(f"{EXTRA} (of {EXTRA}.dvc) shows 2 rows of the test set")


def findings_of(gate: Gate, sha: str) -> str:
    """The object that measuring a commit leaves about its training data."""
    before = gate.place.measured()
    gate.measure(sha)
    [key] = gate.place.measured() - before
    assert "/trained-on-" in key
    return key


def test_s4_a_finding_about_other_data_is_not_believed(gate: Gate) -> None:
    leaking = gate.change(training="leaking", extra="resplit")
    place, other = findings_of(gate, leaking), findings_of(gate, gate.change(training="resplit", extra="resplit"))
    gate.place.store.put(place, gate.place.store.get(other, 10**6))

    verdict = gate.judge(leaking).verdict

    assert (verdict.state, verdict.summary) == (
        "failure",
        "what main's evaluation left cannot be believed: the finding that is kept is not about this data",
    )


def test_s4_the_addresses_of_findings_are_gone_before_a_model_is_loaded(gate: Gate) -> None:
    """What takes over the process of a model finds the one for its own measurement only."""
    folder = gate.place.root.parent / "evaluation"
    gate.fetch(gate.change(BYTES.randbytes(500), extra="leaking", files=gate.test_set("fewer")))
    about = json.loads((folder / fetch.LOOKS).read_text())
    assert {"growth", "leaks"} < about.keys()

    gate.place.run("evaluate", {})

    assert not (folder / fetch.LOOKS).exists()
    assert (folder / fetch.TARGET).exists()


@pytest.mark.parametrize(
    ("limits", "files", "why"),
    [
        ("training_data_bytes: 1000, ", {}, "it has more bytes than the 1000 that main looks at"),
        ("", {"labels.csv": b"a,b"}, "it holds 'ml/prepared/labels.csv', which is no safetensors file"),
        ("", {"a\nb.safetensors": b""}, "it lists 'ml/prepared/a\\nb.safetensors' twice, or by a name"),
        ("", {"x.safetensors": b"garbage"}, "it cannot be read as safetensors"),
    ],
    ids=["too large", "another format", "a name of two lines", "garbage"],
)
def test_c10_training_data_that_main_cannot_look_at_are_an_owners(
    gates: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch, limits: str, files: Mapping[str, bytes], why: str
) -> None:
    gate = gates()
    text = DECLARATION.replace("limits: {", f"limits: {{{limits}")
    (gate.place.root / "ml/evaluation.yaml").write_text(text)
    gate.place.git("commit", "--quiet", "--all", "--allow-empty", "--message", "Limit")
    gate.measure()
    whole = Change.prepared.fget
    assert whole
    monkeypatch.setattr(Change, "prepared", property(lambda change: whole(change) | files))
    for content in files.values():
        gate.place.put(content)
    sha = gate.change(training="resplit")
    gate.measure(sha)

    verdict = gate.judge(sha).verdict

    assert verdict.state == "pending"
    assert verdict.summary.startswith("main cannot judge ml/prepared")
    assert why in verdict.summary
    assert verdict.summary.endswith(": an owner's approval is asked")
