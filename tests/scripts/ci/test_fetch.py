"""The two halves of job `evaluate`, as their containers run them, and what the gate finds then: no stand-ins."""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import measured_project
from ci.measurements import Unmeasurable
from ci.store import Store
from measured_place import RUN, Place, md5, trained
from mlplatform.evaluation.result import Measured, Refused, ResultError

pytestmark = pytest.mark.tools

PIPELINE = "stages: {train: {cmd: python train.py, deps: [train.py], outs: [model/model.onnx]}}\n"


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
    made.begin()
    made.put(good)
    made.put(rows, "-test")
    made.forget()
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


def test_c10_what_waits_on_a_branch_is_measured_once_main_is(place: Place) -> None:
    """No event of the branch comes when main's test set or evaluator changes."""
    waiting, lost = measured_project.linear(240), measured_project.linear(250)
    place.put(waiting)
    heads = [
        place.commit(trained(waiting)),
        place.commit({"ml/train.py": "# not trained yet\n"}),
        place.commit({"ml/dvc.yaml": "["}),
        place.commit(trained(lost)),
    ]
    for number, sha in enumerate((*heads, place.git("rev-parse", "main"))):
        place.git("update-ref", f"refs/remotes/origin/branch-{number}", sha)
    assert "main's model is measured" in place.measure()
    assert f"{heads[0]}: the candidate is measured: {md5(waiting)}" in place.measure()
    found = place.look(heads[0])
    assert found
    assert isinstance(found.candidate, Measured)
    # No branch is in the way of another.
    output = place.measure()
    assert f"{heads[2]}: not measured: ml/dvc.yaml" in output
    assert "everything is measured: nothing to do" in output


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
    place.lose(good)
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
    [key] = place.measured()
    forged = place.store.get(key, 10**6).replace(hashlib.sha256(good).hexdigest().encode(), b"0" * 64)
    place.store.put(key, forged)
    with pytest.raises(ResultError, match="other files"):
        place.look(head)


def test_s5_another_evaluator_has_measured_nothing_yet(place: Place) -> None:
    place.measure()
    head = place.git("rev-parse", "main")
    (place.root / "ml/src/toy/score.py").write_text(measured_project.SCORE + "# changed\n")
    assert place.look(head) is None
