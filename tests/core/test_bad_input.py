"""What cannot be used is refused with one clear message and status 2, and nothing changes."""

import os
import subprocess
from pathlib import Path

import pytest

from live import Platform
from settings import ROOT


def run(verb: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / verb, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("verb", ["up", "demo", "down", "status", "doctor", "env", "aws-emulator"])
def test_every_verb_has_help(verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"scripts/{verb}" in done.stdout


@pytest.mark.parametrize("verb", ["up", "demo", "down", "status"])
def test_an_unknown_cluster_is_refused_with_those_known(verb: str) -> None:
    assert "clusters here: dev, local" in refused(run(verb, "--cluster", "lokal"))


def test_an_unknown_stack_is_refused_by_env() -> None:
    assert "clusters here: dev, local" in refused(run("env", "lokal"))


def test_a_report_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    assert "--report" in refused(run("demo", "--report", str(tmp_path / "missing" / "report.json")))


def test_a_purge_without_a_terminal_needs_yes(live: Platform) -> None:
    before = sorted(path.name for path in live.paths.state.iterdir())
    said = refused(run("down", "--purge"))
    assert "--yes" in said
    assert "bucket ml-data" in said
    assert sorted(path.name for path in live.paths.state.iterdir()) == before
    assert live.status()["ok"]


def test_another_state_directory_is_refused_while_this_platform_is_here(live: Platform, tmp_path: Path) -> None:
    said = refused(run("up", ML_PLATFORM_STATE_DIR=str(tmp_path / "other")))
    assert str(live.paths.state) in said
    assert live.status()["ok"]


def test_a_relative_state_directory_is_refused() -> None:
    assert "ML_PLATFORM_STATE_DIR" in refused(run("status", ML_PLATFORM_STATE_DIR="state"))
