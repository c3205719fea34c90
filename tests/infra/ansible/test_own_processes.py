"""What tests of the live platform kill: its own processes, told by real ones."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import own_processes


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[dict[str, int]]:
    """Two programs named etcd: somebody's own, and one that a service of a platform in `state` started."""
    program = tmp_path / "etcd"
    shutil.copyfile(shutil.which("sleep") or "", program)
    program.chmod(0o755)
    stranger = subprocess.Popen([program, "60"])
    service = subprocess.Popen(
        ["containerd-shim-runc-v2", "-c", f"{program} 60 & echo $!; wait", "shim", f"-address={tmp_path}/state/c.sock"],
        executable="/bin/bash",
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout
    child = int(service.stdout.readline())
    time.sleep(0.1)  # until it has become the program
    yield {"stranger": stranger.pid, "service": service.pid, "child": child}
    os.kill(child, signal.SIGTERM)
    for process in (stranger, service):
        process.kill()
        process.wait()
    service.stdout.close()


def test_s9_a_foreign_process_of_the_same_name_is_never_among_them(processes: dict[str, int], tmp_path: Path) -> None:
    assert own_processes.pids("etcd", [tmp_path / "state"]) == {processes["child"]}
    assert own_processes.pids("containerd-shim-runc-v2", [tmp_path / "state"]) == {processes["service"]}
    assert own_processes.pids("etcd", [tmp_path / "another"]) == set()
