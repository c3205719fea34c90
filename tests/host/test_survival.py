"""What is killed comes back by itself."""

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

import own_processes
from settings import Paths

pytestmark = pytest.mark.host

BACK_SECONDS = 240


def own_process(name: str, platform: Paths) -> int | None:
    """The pid of a program that is the platform's, a service of the host or in a pod."""
    return min(own_processes.pids(name, [platform.state, own_processes.RUN]), default=None)


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
def test_a_killed_part_of_kubernetes_comes_back(kubectl: Callable[..., str], platform: Paths, name: str) -> None:
    before = own_process(name, platform)
    assert before
    os.kill(before, signal.SIGKILL)
    wait(lambda: own_process(name, platform) not in {None, before}, f"{name} was not started again")
    wait(lambda: well(kubectl), f"Kubernetes did not recover from the kill of {name}")


@pytest.mark.parametrize("name", ["kubelet", "kube-router", "containerd", "docker-registry", "versitygw", "gitea"])
def test_a_killed_service_is_started_again_and_pods_go_on(
    kubectl: Callable[..., str], platform: Paths, name: str
) -> None:
    before, server = own_process(name, platform), own_process("etcd", platform)
    assert before
    os.kill(before, signal.SIGKILL)
    wait(lambda: own_process(name, platform) not in {None, before}, f"{name} was not started again")
    wait(lambda: well(kubectl), f"Kubernetes did not recover from the kill of {name}")
    assert own_process("etcd", platform) == server, "the kill of a service must not restart pods"
