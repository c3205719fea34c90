"""The command line of the base layer, as a job's scripts call it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform.base_layer.environments import CHECKS, GROUPS, Place, name_of
from settings import ROOT


def run(cache: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    variables = {**os.environ, "CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-S", "-m", "mlplatform.base_layer", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A cache whose base layer has an environment for each lock of this checkout."""
    layer = Place(tmp_path).base.root
    layer.mkdir(parents=True)
    for group in (*GROUPS, *CHECKS):
        name = name_of(ROOT / "requirements" / f"{group}.txt")
        (layer / name).mkdir()
        (layer / f"{name}.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("arguments", [(), ("find",), ("make",), ("nothing", "x")])
def test_bad_input_is_refused_with_the_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: usage: ")


def test_it_needs_no_package_and_prints_the_environments_folder(full: Path) -> None:
    lock = ROOT / "requirements" / "ml.txt"
    done = run(full, "find", lock)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(full / "base" / "environments" / name_of(lock))


def test_nothing_is_made_where_all_is_there(full: Path) -> None:
    for verb, groups in (("make", GROUPS), ("check", (*GROUPS, *CHECKS))):
        done = run(full, verb, ROOT)
        assert (done.returncode, done.stderr) == (0, f"the base layer has the environments of {', '.join(groups)}\n")


def test_a_runner_without_a_base_layer_has_nothing_to_check_and_nowhere_to_make(tmp_path: Path) -> None:
    done = run(tmp_path, "check", ROOT)
    assert (done.returncode, done.stderr) == (0, "this runner has no base layer: nothing to do\n")
    done = run(tmp_path, "make", ROOT)
    assert done.returncode == 2
    assert "cannot be written: only jobs that main defines may change the base layer" in done.stderr


def test_b6_jobs_of_main_make_what_checks_run_in_and_scripts_up_does_not_wait_for_it(full: Path) -> None:
    layer = Place(full).base
    missing = name_of(ROOT / "requirements" / "dev.txt")
    layer.remove(missing)
    assert run(full, "make", ROOT).returncode == 0
    assert layer.find(missing) is None
    # No uv: it would be made now.
    variables = {**os.environ, "CACHE_DIR": str(full), "PYTHONPATH": str(ROOT / "src"), "PATH": "/nowhere"}
    command = [sys.executable, "-S", "-m", "mlplatform.base_layer", "check", ROOT]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert f"making the environment {missing}\nerror: uv cannot be started" in done.stderr


def test_b6_the_nightly_check_removes_tools_that_were_changed(full: Path, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("program\n")
    name = Place(full).tools.take({"kustomize/kustomize": str(tmp_path / "program")})
    assert "tools" not in run(full, "check", ROOT).stderr
    program = Place(full).tools.root / name / "kustomize" / "kustomize"
    program.chmod(0o755)
    program.write_text("another\n")
    done = run(full, "check", ROOT)
    assert done.returncode == 0
    assert (
        f"removed the tools {name}, which are not as they were copied: kustomize/kustomize was changed" in done.stderr
    )
    assert Place(full).tools.newest() is None


def test_scripts_up_makes_what_an_older_main_has_locks_of(full: Path, tmp_path: Path) -> None:
    (tmp_path / "main" / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "requirements" / "ml.txt", tmp_path / "main" / "requirements")
    done = run(full, "make", tmp_path / "main")
    assert (done.returncode, done.stderr) == (0, "the base layer has the environments of ml\n")
    # A job of main checks its own checkout, which lacks nothing.
    assert "requirements/ci.txt is missing" in run(full, "check", tmp_path / "main").stderr


def test_a_group_without_a_lock_is_refused(full: Path) -> None:
    done = run(full, "find", ROOT / "requirements" / "none.txt")
    assert done.returncode == 2
    assert "requirements/none.txt is missing" in done.stderr


def test_a_checkout_without_locks_is_refused(full: Path, tmp_path: Path) -> None:
    done = run(full, "make", tmp_path)
    assert done.returncode == 2
    assert "requirements/ci.txt is missing" in done.stderr
    assert "Traceback" not in done.stderr
