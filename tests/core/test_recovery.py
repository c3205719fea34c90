"""The platform comes back as it was: from killed processes, from `down`, and from verbs that were interrupted."""

import os
import random
import signal
import subprocess
import time

import pytest

import own_processes
from cli import applications, health, loop
from live import Platform, eventually, interrupted
from settings import ROOT

CONTROL_PLANE = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
SERVICES = ("containerd", "kubelet", "kube-router", "versitygw", "gitea", "registry")


def pids(live: Platform, name: str) -> set[int]:
    """The platform's own processes of this program."""
    return own_processes.pids(name, [live.paths.state, own_processes.RUN])


@pytest.mark.faults
@pytest.mark.parametrize("name", CONTROL_PLANE)
def test_the_cluster_survives_a_killed_control_plane_process(live: Platform, name: str) -> None:
    before = pids(live, name)
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: (pids(live, name) - before) or None, 180, f"a new {name}")
    live.settle(300)


def test_every_host_service_comes_back_after_a_kill(live: Platform) -> None:
    before = {name: pids(live, name) for name in SERVICES}
    assert all(before.values()), before
    for killed in before.values():
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
    for name, killed in before.items():
        eventually(lambda name=name, killed=killed: (pids(live, name) - killed) or None, 120, f"a new {name}")  # type: ignore[misc]
    live.settle(300)


def unknown(live: Platform) -> set[str]:
    """The Applications of which Argo CD cannot tell whether they are in sync."""
    return {one.name for one in applications.all_of(live.kubectl) if one.sync == "Unknown"}


@pytest.mark.faults
def test_d15_applications_leave_unknown_soon_after_the_forge_returns(live: Platform) -> None:
    assert unknown(live) == set()
    forge = pids(live, "gitea")
    assert forge
    try:
        # Killed, it would be back before anybody asks.
        for pid in forge:
            os.kill(pid, signal.SIGSTOP)
        every = ("applications.argoproj.io", "--all", "-n", "argocd", "argocd.argoproj.io/refresh=hard", "--overwrite")
        live.kubectl.run("annotate", *every)
        eventually(lambda: "root" in unknown(live) or None, 180, "an Application that became Unknown")
    finally:
        for pid in forge:
            os.kill(pid, signal.SIGKILL)
    address = f"{live.cluster.forge.url}/api/healthz"
    eventually(lambda: health.content(address) or None, 60, "an answer of the forge", every=0.2)
    eventually(lambda: None if unknown(live) else True, 30, "no Application is Unknown any more")
    # An ApplicationSet that failed in between tries again after three minutes, and root is Degraded until then.
    live.settle(240)


def test_an_unchanged_up_does_nothing(live: Platform) -> None:
    live.verb("up")
    assert '"steps": []' in live.verb("up", "--json")


@pytest.mark.faults
def test_an_interrupted_up_is_finished_by_the_next(live: Platform, seed: int) -> None:
    (live.paths.state / "up.json").unlink()
    interrupted("up", after=random.Random(seed).uniform(4, 13))
    live.verb("up")
    live.settle(300)


@pytest.mark.faults
def test_a_killed_up_is_finished_by_the_next(live: Platform, seed: int) -> None:
    (live.paths.state / "up.json").unlink()
    killed = subprocess.Popen([ROOT / "scripts" / "up"], stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(4, 16))
    killed.kill()
    killed.wait()
    live.verb("up")
    live.settle(300)


def test_down_and_up_restore_the_same_deployments(live: Platform) -> None:
    before = live.deployed()
    assert f"{loop.APP}-{live.stage}" in before
    interrupted("down", after=4, once="Take the platform off the host")
    live.verb("down")
    assert not live.status()["ok"]
    assert live.paths.secrets.is_dir()
    live.verb("down")
    live.verb("up")
    live.settle(300)
    assert live.deployed() == before
    turn = loop.Loop(live.cluster, live.paths, live.member, loop.known_good)
    assert "html" in health.content(turn.address() + "/")
