"""Only one verb at a time changes the platform of a host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import lock
from cli.failure import Failure


def test_a_second_verb_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock.held("up", path), pytest.raises(Failure) as refused, lock.held("down", path):
        pass
    assert f"scripts/up (process {os.getpid()})" in refused.value.message
    assert f"kill {os.getpid()}" in refused.value.fix


def test_the_lock_is_free_after_use_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with lock.held("up", path):
            assert path.exists()
        assert not path.exists()


def test_a_killed_holder_does_not_block_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, pathlib, signal\n"
        "from cli import lock\n"
        f"with lock.held('up', pathlib.Path({str(path)!r})):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment)
    assert killed.returncode == -9
    assert path.exists()
    with lock.held("down", path):
        assert "scripts/down" in path.read_text()


def test_a_place_that_cannot_be_written_is_a_clear_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot be written"), lock.held("up", tmp_path / "file" / "lock"):
        pass


def run(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A verb in a process of its own, which has what this process exports."""
    code = f"import pathlib\nfrom cli import lock\npath = pathlib.Path({str(path)!r})\n{program}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_a_session_lets_its_own_verbs_pass_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    verb = "with lock.held('up', path): print('done')"
    with lock.session("test", path):
        assert run(verb, path).stdout == "done\n"
        with monkeypatch.context() as stranger:
            stranger.delenv("ML_PLATFORM_LOCK_SESSION")
            assert f"scripts/test (process {os.getpid()})" in run(verb, path).stderr
    assert list(tmp_path.iterdir()) == []


def test_verbs_of_one_session_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    verb = "with lock.held('up', path):\n  with lock.held('down', path): pass"
    with lock.session("test", path):
        assert "scripts/up (process" in run(verb, path).stderr


def test_a_session_that_is_over_gives_no_way_past_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    monkeypatch.setenv("ML_PLATFORM_LOCK_SESSION", "1")
    with lock.held("up", path):
        assert "scripts/up (process" in run("with lock.held('down', path): pass", path).stderr
