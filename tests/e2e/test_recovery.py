"""The platform comes back as it was: from killed processes, from `down`, and from verbs that were interrupted."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli import health, loop
from live import Platform, eventually, interrupted
from settings import ROOT

CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
SERVICES = ("containerd", "kubelet", "kube-router", "versitygw", "gitea", "registry")


def pids(name: str) -> set[int]:
    """Processes whose program is `name`, whatever else stands on their command line."""
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            program = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            continue
        if Path(program).name in {name, f"docker-{name}"}:
            found.add(int(folder.name))
    return found


@pytest.mark.parametrize("name", CONTROL_PLANE)
def test_the_cluster_survives_a_killed_control_plane_process(live: Platform, name: str) -> None:
    before = pids(name)
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: (pids(name) - before) or None, 180, f"a new {name}")
    live.settle(300)


def test_every_host_service_comes_back_after_a_kill(live: Platform) -> None:
    before = {name: pids(name) for name in SERVICES}
    assert all(before.values()), before
    for killed in before.values():
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
    for name, killed in before.items():
        eventually(lambda name=name, killed=killed: (pids(name) - killed) or None, 120, f"a new {name}")  # type: ignore[misc]
    live.settle(300)


def test_an_unchanged_up_does_nothing(live: Platform) -> None:
    live.verb("up")
    assert '"steps": []' in live.verb("up", "--json")


def test_an_interrupted_up_is_finished_by_the_next(live: Platform) -> None:
    (live.paths.state / "up.json").unlink()
    interrupted("up", after=12)
    live.verb("up")
    live.settle(300)


def test_a_killed_up_is_finished_by_the_next(live: Platform) -> None:
    (live.paths.state / "up.json").unlink()
    killed = subprocess.Popen([ROOT / "scripts" / "up"], stderr=subprocess.DEVNULL)
    time.sleep(15)
    killed.kill()
    killed.wait()
    live.verb("up")
    live.settle(300)


def test_down_and_up_restore_the_same_deployments(live: Platform) -> None:
    before = live.deployed()
    assert f"{loop.APP}-{live.stage}" in before
    interrupted("down", after=4)
    live.verb("down")
    assert not live.status()["ok"]
    assert live.paths.secrets.is_dir()
    live.verb("down")
    live.verb("up")
    live.settle(300)
    assert live.deployed() == before
    turn = loop.Loop(live.cluster, live.paths, live.member, loop.known_good)
    assert "html" in health.content(turn.address() + "/")
