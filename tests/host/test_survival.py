"""What is killed comes back by itself."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from settings import Paths

pytestmark = pytest.mark.host

BACK_SECONDS = 240


def pod_process(name: str) -> int | None:
    """The pid of a program that runs in a pod."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            program = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            if Path(program).name == name and "kubepods" in (entry / "cgroup").read_text():
                return int(entry.name)
        except OSError:
            continue
    return None


def service_process(name: str, state: Path) -> int | None:
    """The pid of a service of the host."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().decode().split("\0")
            groups = (entry / "cgroup").read_text()
        except OSError:
            continue
        if Path(arguments[0]).name == name and str(state) in " ".join(arguments) and "kubepods" not in groups:
            return int(entry.name)
    return None


def wait(what: Callable[[], object], says: str) -> None:
    deadline = time.monotonic() + BACK_SECONDS
    while time.monotonic() < deadline:
        try:
            if what():
                return
        except AssertionError:
            pass
        time.sleep(1)
    pytest.fail(says)


def well(kubectl: Callable[..., str]) -> bool:
    """Whether the API server is ready and so is every pod of the control plane."""
    kubectl("get", "--raw=/readyz")
    pods = json.loads(kubectl("get", "pods", "--namespace=kube-system", "--output=json"))["items"]
    return all(one["ready"] for pod in pods for one in pod["status"].get("containerStatuses", [{"ready": False}]))


@pytest.mark.parametrize(
    "name", ["kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns"]
)
def test_a_killed_part_of_kubernetes_comes_back(kubectl: Callable[..., str], name: str) -> None:
    before = pod_process(name)
    assert before
    os.kill(before, signal.SIGKILL)
    wait(lambda: pod_process(name) not in {None, before}, f"{name} was not started again")
    wait(lambda: well(kubectl), f"Kubernetes did not recover from the kill of {name}")


@pytest.mark.parametrize("name", ["kubelet", "kube-router", "containerd", "docker-registry", "versitygw", "gitea"])
def test_a_killed_service_is_started_again_and_pods_go_on(
    kubectl: Callable[..., str], platform: Paths, name: str
) -> None:
    before, server = service_process(name, platform.state), pod_process("etcd")
    assert before
    os.kill(before, signal.SIGKILL)
    wait(lambda: service_process(name, platform.state) not in {None, before}, f"{name} was not started again")
    wait(lambda: well(kubectl), f"Kubernetes did not recover from the kill of {name}")
    assert pod_process("etcd") == server, "the kill of a service must not restart pods"
