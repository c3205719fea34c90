"""The workflows are valid on both forges and grant no more than they need."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"actions/checkout@[0-9a-f]{40}")


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    # YAML 1.1 takes the key `on` for true.
    content["on"] = content.pop(True, content.get("on"))
    return content


def job(path: Path) -> dict[str, Any]:
    [found] = load(path)["jobs"].values()
    assert isinstance(found, dict)
    return found


def test_the_three_workflows_are_there() -> None:
    assert {"release.yml", "report.yml", "train.yml"} <= {path.name for path in WORKFLOWS}


@pytest.mark.tools
def test_actionlint_has_no_complaint(tool: Callable[[str], Path]) -> None:
    command = [tool("actionlint"), "-color=false", "-shellcheck=", "-pyflakes=", *WORKFLOWS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_has_no_complaint() -> None:
    # Beside the interpreter, or on PATH.
    binary = shutil.which("zizmor", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert binary, "zizmor is not installed: it belongs to the dependency group dev"
    command = [binary, "--offline", "--quiet", "--no-progress", "--persona=auditor", str(ROOT / ".github")]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_uses_what_both_forges_and_the_runner_offer(path: Path) -> None:
    workflow = load(path)
    found = job(path)

    assert workflow["permissions"] == {}
    assert found["permissions"] == {"contents": "read"}
    assert found["runs-on"] == "ml-cpu"
    assert found["timeout-minutes"] <= 60
    assert "concurrency" in workflow
    assert not {"needs", "outputs", "container", "services", "uses", "strategy"} & set(found)
    for step in found["steps"]:
        assert set(step) <= {"uses", "with", "run", "env"}
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"])
            assert step["with"] == {"fetch-depth": 0, "persist-credentials": False}
        else:
            # Text from the event never reaches a shell as part of its script.
            assert "${{" not in step["run"]


def test_code_of_a_pull_request_gets_no_token_and_no_environment() -> None:
    path = next(path for path in WORKFLOWS if path.name == "train.yml")

    assert set(load(path)["on"]) == {"pull_request"}
    assert "environment" not in job(path)
    assert "secrets" not in path.read_text()


def test_the_gate_runs_from_main_for_every_pull_request() -> None:
    triggers = load(next(path for path in WORKFLOWS if path.name == "report.yml"))["on"]

    assert set(triggers) == {"pull_request_target", "workflow_run"}
    # A filtered workflow would leave the required status unset.
    assert "paths" not in triggers["pull_request_target"]
    assert triggers["pull_request_target"]["branches"] == ["main"]
    assert triggers["workflow_run"] == {"workflows": ["train"], "types": ["completed"]}
