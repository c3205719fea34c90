"""Ending processes, tried on real ones."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from ansible.module_utils.processes import Process, is_service, process_table

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def stopped(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("stopped_processes")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a script that goes by a service's name and waits."""
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, *arguments: str, body: str = "sleep 60 & wait") -> "subprocess.Popen[bytes]":
        script = tmp_path / name
        script.write_text(f"#!/bin/bash\n{body}\n")
        script.chmod(0o755)
        process = subprocess.Popen([script, *arguments], start_new_session=True)
        started.append(process)
        time.sleep(0.3)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_a_service_is_asked_and_ends(stopped: ModuleType, start: Start, tmp_path: Path) -> None:
    process = start("versitygw", f"{tmp_path}/state/buckets")
    table = process_table()
    assert is_service(table[process.pid], [str(tmp_path / "state")])
    assert stopped.end([process.pid], table, 5.0) == []
    assert process.wait() == -15


def test_one_that_does_not_listen_is_killed(stopped: ModuleType, start: Start, tmp_path: Path) -> None:
    process = start("gitea", f"{tmp_path}/state/app.ini", body="trap '' TERM; while :; do sleep 0.1; done")
    assert stopped.end([process.pid], process_table(), 0.3) == []
    assert process.wait() == -9


def test_supervisors_go_before_services_and_containerd_after_pods(stopped: ModuleType) -> None:
    table = {
        1: Process(1, 0, "python", ("python", "-m", "supervisor.supervisord", "-c", "/s/c")),
        2: Process(2, 1, "kubelet", ("/cache/kubelet",)),
        3: Process(3, 1, "gitea", ("/cache/gitea",)),
        4: Process(4, 1, "containerd", ("containerd",)),
        # The kernel cuts names off after 15 letters.
        5: Process(5, 1, "containerd-shim", ("containerd-shim-runc-v2",)),
        6: Process(6, 5, "etcd", ("etcd",)),
    }
    first, middle, last = (set(stage) for stage in stopped.stages(table, set(table)))
    assert (first, middle, last) == ({1, 2}, {3, 6}, {4, 5})


def test_a_pid_that_another_program_took_over_is_not_ours_any_more(stopped: ModuleType, start: Start) -> None:
    process = start("gitea", "/srv/state/app.ini")
    before = {process.pid: Process(process.pid, 1, "gitea", ("something", "else"))}
    assert stopped.alive([process.pid], before) == []
