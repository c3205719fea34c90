"""The two halves of job `evaluate`, as their containers run them, and what the gate finds then: no stand-ins."""

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import measured_project
from ci import git, measurements
from ci.measurements import Measurements, Unmeasurable
from ci.store import Store
from ci.tree import CommitTree
from mlplatform.evaluation.result import Evaluation, Measured, Refused, ResultError
from mlplatform.objects import bundle

pytestmark = pytest.mark.tools

# Far from those of the forge, with which other tests share the store.
RUN = 10**9
PIPELINE = "stages: {train: {cmd: python train.py, deps: [train.py], outs: [model/model.onnx]}}\n"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def trained(model: bytes, script: str = "# first\n") -> dict[str, str]:
    """A lock that names a model, fresh for this training script."""
    deps = [{"path": "train.py", "hash": "md5", "md5": md5(script.encode()), "size": len(script)}]
    outs = [{"path": "model/model.onnx", "hash": "md5", "md5": md5(model), "size": len(model)}]
    stage = {"cmd": "python train.py", "deps": deps, "outs": outs}
    return {"ml/train.py": script, "ml/dvc.lock": json.dumps({"schema": "2.0", "stages": {"train": stage}})}


@dataclass(frozen=True)
class Place:
    """Main's checkout, and the store in which its objects lie below a prefix of the test's own."""

    root: Path
    prefix: str
    store: Store
    variables: Mapping[str, str]

    def put(self, content: bytes, remote: str = "", name: str = "") -> None:
        name = name or md5(content)
        self.store.put(f"{self.prefix}{remote}/files/md5/{name[:2]}/{name[2:]}", content)

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=m", "-c", "user.email=m@example.invalid", *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """A branch's commit; main stays checked out."""
        self.git("checkout", "--quiet", "--detach", "main")
        for name, text in files.items():
            (self.root / name).write_text(text)
        self.git("commit", "--quiet", "--all", "--message", "Change")
        sha = self.git("rev-parse", "HEAD")
        self.git("checkout", "--quiet", "main")
        return sha

    def run(self, script: str, event: Mapping[str, Any], expected: int = 0) -> str:
        work = self.root.parent
        (work / "event.json").write_text(json.dumps(event))
        variables = {**self.variables, "RUNNER_WORK": str(work), "GITHUB_EVENT_PATH": str(work / "event.json")}
        if script == "evaluate":
            variables = {key: value for key, value in variables.items() if not key.startswith("AWS_")}
        command = [str(self.root / "scripts/ci" / script)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
        assert done.returncode == expected, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def leave(self, run: int, files: Mapping[str, str], *models: bytes) -> None:
        """What a training run leaves."""
        objects = {}
        for model in models:
            objects[md5(model)] = self.root.parent / md5(model)
            objects[md5(model)].write_bytes(model)
        stream = io.BytesIO()
        bundle.write(stream, {path: text.encode() for path, text in files.items()}, objects)
        self.store.put(f"runs/{run}", stream.getvalue())

    def measure(self, sha: str | None = None, run: int = RUN) -> str:
        """What the job does after this run's training of a commit, or after a push to main."""
        shutil.rmtree(self.root.parent / "evaluation", ignore_errors=True)
        event = {"workflow_run": {"id": run, "head_sha": sha}} if sha else {}
        return self.run("fetch", event) + self.run("evaluate", event)

    def look(self, sha: str) -> Evaluation | None:
        """What the gate finds."""
        repository = git.Repository(self.root)
        main, tree = CommitTree(repository, self.git("rev-parse", "main")), CommitTree(repository, sha)
        declared = measurements.rules(main)
        assert declared
        return Measurements(self.store, self.root).look(main, tree, declared)


@pytest.fixture(scope="module")
def good() -> bytes:
    return measured_project.linear(127.5)


@pytest.fixture
def variables(object_store: Any, jobs_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Of a job, and of this process."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, "CACHE_DIR": str(jobs_cache)}


@pytest.fixture
def place(
    good: bytes, write_project: Callable[[str, Mapping[str, str]], Path], variables: Mapping[str, str], tmp_path: Path
) -> Place:
    prefix, rows = f"{tmp_path.name}/dvc", measured_project.rows(40)
    root = write_project(prefix, {**measured_project.files(md5(rows)), "ml/dvc.yaml": PIPELINE, **trained(good)})
    made = Place(root, prefix, Store.connect("ml-data"), variables)
    made.git("init", "--quiet", "--initial-branch=main", ".")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Main")
    made.put(good)
    made.put(rows, "-test")
    # The store outlives the test, and the key of a measurement is what it belongs to.
    for key in made.store.sizes(measurements.PREFIX, 1000):
        made.store.delete(key)
    return made


def test_s5_a_model_is_measured_beside_mains_and_once(place: Place) -> None:
    worse = measured_project.linear(240)
    place.put(worse)
    sha = place.commit(trained(worse))
    assert place.look(sha) is None
    assert f"the candidate is measured: {md5(worse)}" in place.measure(sha)
    found = place.look(sha)
    assert found
    assert isinstance(found.candidate, Measured)
    assert isinstance(found.baseline, Measured)
    assert (found.rows, found.candidate.metrics, found.baseline.metrics) == (
        40,
        {"accuracy": 0.5, "mistakes": 20},
        {"accuracy": 1.0, "mistakes": 0},
    )
    # Main's own is kept under its own name, whatever was measured beside it.
    assert "main's model is measured" in place.measure(sha)
    assert "everything is measured" in place.measure(sha)
    assert "everything is measured" in place.measure()
    assert place.look(sha) == found


def test_s4_of_a_branch_only_the_hash_in_its_lock_is_read(place: Place) -> None:
    script = "# second\n"
    worse = measured_project.linear(240)
    sha = place.commit({"ml/train.py": script, "ml/src/toy/score.py": "raise SystemExit('run')\n"})
    # Not trained yet: the lock is main's.
    assert "main's evaluator" not in place.measure(sha)
    # What its training left counts where the head's own lock does not.
    lock = {"ml/dvc.lock": trained(worse, script)["ml/dvc.lock"]}
    place.leave(RUN + 2, lock, worse)
    assert f"the candidate is measured: {md5(worse)}" in place.measure(sha, RUN + 2)
    # A head whose lock is fresh is measured by that, whatever its run leaves.
    place.leave(RUN + 3, {"ml/dvc.lock": trained(b"?")["ml/dvc.lock"]}, b"?")
    assert "is measured: " + md5(b"?") not in place.measure(place.git("rev-parse", "main"), RUN + 3)
    # And what another run leaves is nobody else's.
    place.leave(RUN + 4, lock, worse)
    assert md5(worse) not in place.measure(place.commit({"ml/train.py": "# third\n"}), RUN + 5)


def test_s4_a_model_that_is_not_what_the_lock_says_is_not_measured(place: Place) -> None:
    script, worse = "# second\n", measured_project.linear(240)
    sha = place.commit({"ml/train.py": script})
    place.leave(RUN + 6, {"ml/dvc.lock": trained(worse, script)["ml/dvc.lock"]}, worse)
    content = place.store.get(f"runs/{RUN + 6}", 10**6).replace(worse, bytes(len(worse)))
    place.store.put(f"runs/{RUN + 6}", content)
    event = {"workflow_run": {"id": RUN + 6, "head_sha": sha}}
    assert f"object {md5(worse)} holds other content" in place.run("fetch", event, expected=2)


def test_s5_main_without_a_model_that_lies_anywhere_is_no_baseline(place: Place, good: bytes) -> None:
    other = measured_project.linear(130)
    place.put(other)
    place.store.delete(f"{place.prefix}/files/md5/{md5(good)[:2]}/{md5(good)[2:]}")
    sha = place.commit(trained(other))
    place.measure(sha)
    found = place.look(sha)
    assert found
    assert found.baseline is None


def test_s5_a_file_that_is_no_model_is_a_result(place: Place) -> None:
    place.put(b"not a model")
    sha = place.commit(trained(b"not a model"))
    place.measure(sha)
    found = place.look(sha)
    assert found
    assert isinstance(found.candidate, Refused)
    assert "not an ONNX model" in found.candidate.refused


def test_s16_an_object_with_other_content_is_not_measured(place: Place, good: bytes) -> None:
    place.put(b"rotten", name=md5(good))
    output = place.run("fetch", {}, expected=2)
    assert f"object {md5(good)} holds other content" in output
    with pytest.raises(Unmeasurable, match="holds other content"):
        place.look(place.git("rev-parse", "main"))


def test_s5_what_is_kept_for_other_files_is_not_believed(place: Place, good: bytes) -> None:
    place.measure()
    head = place.git("rev-parse", "main")
    assert place.look(head)
    [key] = place.store.sizes(measurements.PREFIX, 10)
    forged = place.store.get(key, 10**6).replace(hashlib.sha256(good).hexdigest().encode(), b"0" * 64)
    place.store.put(key, forged)
    with pytest.raises(ResultError, match="other files"):
        place.look(head)


def test_s5_another_evaluator_has_measured_nothing_yet(place: Place) -> None:
    place.measure()
    head = place.git("rev-parse", "main")
    (place.root / "ml/src/toy/score.py").write_text(measured_project.SCORE + "# changed\n")
    assert place.look(head) is None
