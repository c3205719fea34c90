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
