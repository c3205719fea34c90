"""Only one verb at a time changes the platform of a host."""

import fcntl
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


def test_s17_a_link_in_the_locks_place_is_refused_and_its_target_keeps_its_content(tmp_path: Path) -> None:
    target = tmp_path / "shadow"
    target.write_text("root:*:1::::::\n")
    (tmp_path / "lock").symlink_to(target)
    with pytest.raises(Failure, match="cannot be written") as refused, lock.held("up", tmp_path / "lock"):
        pass
    assert refused.value.fix == "remove it"
    assert target.read_text() == "root:*:1::::::\n"


def test_s17_the_lock_lies_where_only_root_may_write(tmp_path: Path) -> None:
    assert lock.PATH.parent.parent == Path("/run")
    path = tmp_path / "new" / "lock"
    with lock.held("up", path):
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600


def test_s17_a_folder_that_others_may_enter_or_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    with pytest.raises(Failure, match="is not this user's alone"), lock.held("up", tmp_path / "open" / "lock"):
        pass
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with pytest.raises(Failure, match="cannot be written"), lock.held("up", tmp_path / "link" / "lock"):
        pass
    assert list((tmp_path / "private").iterdir()) == []


class TestFormerPlace:
    """Commands of an older checkout and of this one exclude each other."""

    @pytest.fixture
    def former(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(lock, "PATH", tmp_path / "new" / "lock")
        monkeypatch.setattr(lock, "_FORMER", tmp_path / "former.lock")
        return tmp_path / "former.lock"

    def hold(self, path: Path, text: str) -> int:
        """As an older verb, or anybody, holds the lock."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, text.encode())
        return descriptor

    def test_an_older_verb_that_runs_is_waited_for(self, former: Path) -> None:
        descriptor = self.hold(former, f"{os.getpid()} scripts/demo\n")
        with pytest.raises(Failure, match="scripts/demo"), lock.held("up"):
            pass
        assert not lock.PATH.exists()
        os.close(descriptor)
        with lock.held("up"):
            pass

    def test_an_older_verb_finds_this_one(self, former: Path) -> None:
        with lock.held("up"):
            assert former.read_text() == f"{os.getpid()} scripts/up\n"
            with former.open() as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert not former.exists()

    def test_s17_a_link_there_is_not_followed_and_in_nobodys_way(self, former: Path, tmp_path: Path) -> None:
        (tmp_path / "target").write_text("kept")
        former.symlink_to(tmp_path / "target")
        with lock.held("up"):
            pass
        assert (tmp_path / "target").read_text() == "kept"

    def test_s17_who_only_holds_the_file_there_blocks_nobody(self, former: Path) -> None:
        self.hold(former, "4194305 scripts/up\n")
        with lock.held("up"):
            pass

    def test_verbs_of_a_session_pass(self, former: Path) -> None:
        with lock.session("test"), lock.held("up"):
            pass
        assert not former.exists()
