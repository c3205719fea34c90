"""Which processes are the platform's decides what `down` kills, so what is not ours is tested as much as what is."""

import os
import socket
import sys

import pytest
from ansible.module_utils.processes import Process, listeners, owned, process_table, socket_owners

PATHS = ["/srv/state", "/run/ml-platform"]
INIT = Process(1, 0, "systemd", ("/sbin/init",), "0::/init.scope\n")


def table(*processes: Process) -> dict[int, Process]:
    return {process.pid: process for process in (INIT, *processes)}


@pytest.mark.parametrize(
    "process",
    [
        Process(2, 1, "kubelet", ("/cache/kubelet", "--config=/srv/state/kubelet/config.yaml")),
        Process(2, 1, "versitygw", ("/cache/versitygw", "posix", "/srv/state/object-store/buckets")),
        Process(2, 1, "python", ("/venv/bin/python", "-m", "supervisor.supervisord", "-c", "/srv/state/s.conf")),
        Process(2, 1, "python3", ("/venv/bin/python3", "/venv/bin/supervisord", "-c", "/srv/state/s.conf")),
        Process(2, 1, "containerd-shim", ("/usr/bin/containerd-shim-runc-v2", "-address", "/run/ml-platform/c/c.sock")),
        Process(2, 1, "sleep", ("sleep", "9"), "3:memory:/kubepods/burstable/pod1/abc\n"),
        Process(2, 1, "sleep", ("sleep", "9"), "0::/kubepods.slice/kubepods-pod1.slice/cri-abc.scope\n"),
    ],
)
def test_services_and_pods_are_ours(process: Process) -> None:
    assert owned(table(process), PATHS) == {2}


@pytest.mark.parametrize(
    "process",
    [
        Process(2, 1, "ansible-playbook", ("python", "ansible-playbook", "-e", "state_dir=/srv/state/")),
        Process(2, 1, "tail", ("tail", "-f", "/srv/state/logs/kubelet.log")),
        Process(2, 1, "vim", ("vim", "/srv/state/gitea/app.ini")),
        Process(2, 1, "kubelet", ("/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml")),
        Process(2, 1, "kubelet", ("/usr/bin/kubelet", "--config=/srv/state-of-another/config.yaml")),
        Process(2, 1, "containerd", ("/usr/bin/containerd",)),
        Process(2, 1, "gitea", ("/opt/gitea", "--config=/tmp/a-test/app.ini")),
    ],
)
def test_others_are_not_ours(process: Process) -> None:
    assert owned(table(process), PATHS) == set()


def test_what_a_service_starts_is_ours_and_what_started_it_is_not() -> None:
    shell = Process(2, 1, "bash", ("bash",))
    forge = Process(3, 2, "gitea", ("/cache/gitea", "web", "--config=/srv/state/gitea/app.ini"))
    git = Process(4, 3, "git", ("git", "gc"))
    pack = Process(5, 4, "git", ("git", "pack-objects"))
    assert owned(table(shell, forge, git, pack), PATHS) == {3, 4, 5}


def test_s9_pods_of_another_kubernetes_are_not_ours() -> None:
    """On a host without the platform's record only what hangs on the platform's own services is its."""
    shim = Process(2, 1, "containerd-shim", ("/usr/bin/containerd-shim-runc-v2", "-address", "/run/ml-platform/c.sock"))
    ours = Process(3, 2, "etcd", ("etcd",), "0::/kubepods/pod1/a\n")
    other = Process(4, 1, "etcd", ("etcd",), "0::/kubepods/pod2/b\n")
    assert owned(table(shim, ours, other), PATHS, pods=False) == {2, 3}
    assert owned(table(shim, ours, other), PATHS) == {2, 3, 4}


def test_a_machine_that_is_itself_a_pod_does_not_own_everything() -> None:
    group = "4:memory:/kubepods/burstable/pod9/host\n"
    first = Process(1, 0, "init", ("/init",), group)
    shell = Process(2, 1, "bash", ("bash",), group)
    inner = Process(3, 2, "sleep", ("sleep",), "4:memory:/kubepods/burstable/pod9/host/kubepods/pod1/abc\n")
    assert owned({1: first, 2: shell, 3: inner}, PATHS) == {3}


def test_the_table_knows_this_very_process() -> None:
    process = process_table()[os.getpid()]
    assert process.parent == os.getppid()
    assert process.arguments == tuple(sys.orig_argv)


@pytest.mark.parametrize(
    ("family", "address", "shown"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET, "0.0.0.0", "0.0.0.0"),  # noqa: S104 - what a port check must recognise
    ],
)
def test_a_listening_socket_and_its_holder_are_found(family: int, address: str, shown: str) -> None:
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]
        found = next(one for one in listeners() if one.port == port)
        assert found.address == shown
        assert socket_owners([found.inode]) == {found.inode: os.getpid()}
