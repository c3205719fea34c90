"""The half of the evaluation that holds no credential: what it says where it cannot do its work."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import measured_project

pytestmark = pytest.mark.tools


@pytest.fixture
def run(
    write_project: Callable[[str, Mapping[str, str]], Path], jobs_cache: Path, tmp_path: Path
) -> Callable[[], tuple[int, str]]:
    root = write_project("none", measured_project.files("0" * 32))

    def evaluate() -> tuple[int, str]:
        variables = {"PATH": "/usr/bin:/bin", "CACHE_DIR": str(jobs_cache), "RUNNER_WORK": str(tmp_path)}
        command = [root / "scripts/ci/evaluate"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    return evaluate


def test_a_runner_that_knows_no_such_jobs_is_named_with_the_fix(run: Callable[[], tuple[int, str]]) -> None:
    status, output = run()
    assert status == 2
    assert output == "error: nothing was fetched: this runner knows no jobs that measure: run scripts/up\n"


def test_nothing_to_measure_is_no_failure(run: Callable[[], tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    assert run() == (0, "nothing was fetched: nothing to measure\n")


def test_s5_an_address_that_takes_nothing_is_not_shown(run: Callable[[], tuple[int, str]], tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    (folder / "test.safetensors").write_bytes(measured_project.rows(4))
    (folder / "candidate.onnx").write_bytes(measured_project.linear(127.5))
    (folder / "target.json").write_text(json.dumps({"url": "http://127.0.0.1:9/measurements/x?signature=secret"}))
    status, output = run()
    assert status == 2
    assert "the result could not be handed over" in output
    assert "secret" not in output
