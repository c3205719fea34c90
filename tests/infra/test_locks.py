"""Which locks on a stack are those of the dead."""

import json
import os
import socket
import subprocess
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


def held(backend: Path, *holders: tuple[str, int]) -> dict[str, str]:
    """A file backend with a lock for each host and process; the variables that lead to it."""
    folder = backend / ".pulumi" / "locks" / "organization" / "ml-platform" / "dev"
    folder.mkdir(parents=True)
    for number, (host, pid) in enumerate(holders):
        lock = {"pid": pid, "username": "ann", "hostname": host, "timestamp": "2026-01-02T03:04:05.678Z"}
        (folder / f"{number}.json").write_text(json.dumps(lock))
    return {"PULUMI_BACKEND_URL": f"file://{backend}", "PATH": os.environ["PATH"]}


def test_no_lock_is_nothing_to_do(tmp_path: Path) -> None:
    said: list[str] = []
    locks.release("dev", held(tmp_path), said.append)
    assert said == []


@pytest.mark.parametrize("holder", [(HERE, os.getpid()), ("elsewhere.test", 1)])
def test_lock_of_the_living_or_of_another_host_stays(tmp_path: Path, holder: tuple[str, int]) -> None:
    with pytest.raises(SettingsError, match=rf"locked since 2026-01-02T03:04:05 by ann on {holder[0]}.*pulumi cancel"):
        locks.release("dev", held(tmp_path, (HERE, dead_process()), holder), print)


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
