"""Which locks on a stack are those of the dead."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import locks
from settings import SettingsError

HERE = socket.gethostname()


def dead_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


@contextmanager
def running(folder: Path, name: str = "pulumi") -> Iterator[int]:
    """The number of a process of that name that runs until the block ends."""
    folder.mkdir()
    shutil.copyfile(shutil.which("sleep") or "", folder / name)
    (folder / name).chmod(0o755)
    with subprocess.Popen([folder / name, "60"]) as process:
        yield process.pid
        process.kill()


def now(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def held(backend: Path, *holders: tuple[str, int], since: str = "2026-01-02T03:04:05.678Z") -> dict[str, str]:
    """A file backend with a lock for each host and process; the variables that lead to it."""
    folder = backend / ".pulumi" / "locks" / "organization" / "ml-platform" / "dev"
    folder.mkdir(parents=True)
    for number, (host, pid) in enumerate(holders):
        lock = {"pid": pid, "username": "ann", "hostname": host, "timestamp": since}
        (folder / f"{number}.json").write_text(json.dumps(lock))
    return {"PULUMI_BACKEND_URL": f"file://{backend}", "PATH": os.environ["PATH"]}


def test_no_lock_is_nothing_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    locks.release("dev", held(tmp_path), said.append)
    assert said == []


@pytest.mark.parametrize("host", [HERE, "its-former-name.test"])
def test_lock_of_the_living_stays(tmp_path: Path, host: str) -> None:
    with running(tmp_path / "bin") as pid:
        variables = held(tmp_path, (HERE, dead_process()), (host, pid), since=now())
        with pytest.raises(SettingsError, match=rf"locked since {now()[:10]}.* by ann on {host}.*pulumi cancel"):
            locks.release("dev", variables, print)


def abandoned(backend: Path, host: str, pid: int, since: str) -> bool:
    held(backend, (host, pid), since=since)
    (lock,) = locks.in_folder(backend / ".pulumi" / "locks" / "organization" / "ml-platform" / "dev")
    return lock.abandoned


def test_s22_a_pid_that_another_program_has_now_is_not_the_holder(tmp_path: Path) -> None:
    assert abandoned(tmp_path, HERE, 1, now())


def test_s22_a_pulumi_that_began_after_the_lock_is_not_its_holder(tmp_path: Path) -> None:
    with running(tmp_path / "bin") as pid:
        assert abandoned(tmp_path / "old", HERE, pid, now(-3600))
        assert not abandoned(tmp_path / "new", HERE, pid, now())
        assert not abandoned(tmp_path / "unsaid", HERE, pid, "")


def test_s22_a_host_that_was_renamed_releases_its_own_locks(tmp_path: Path) -> None:
    assert abandoned(tmp_path, "its-former-name.test", 1, "2026-01-02T03:04:05.678Z")


def test_a_lock_of_another_host_in_a_shared_bucket_stays() -> None:
    lock = locks._lock({"hostname": "elsewhere.test", "pid": 1, "timestamp": now()}, here=False)
    assert not lock.abandoned


def test_lock_of_the_dead_is_taken_off(tmp_path: Path) -> None:
    variables = held(tmp_path / "state", (HERE, dead_process()))
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    program.chmod(0o755)
    said: list[str] = []
    locks.release("dev", variables | {"PATH": f"{program.parent}:{os.environ['PATH']}"}, said.append, tmp_path)
    assert (tmp_path / "asked").read_text().split() == ["cancel", "--yes", "--stack=dev", "--non-interactive"]
    assert "Releasing the lock on stack dev" in said[0]


def test_other_backends_are_refused() -> None:
    with pytest.raises(SettingsError, match="PULUMI_BACKEND_URL: https is no backend"):
        locks.holders("dev", {"PULUMI_BACKEND_URL": "https://api.pulumi.test"})
