"""Addresses and ports: everything of the platform listens on loopback or the node address."""

import ipaddress
import re
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from settings import Cluster, Paths

pytestmark = pytest.mark.host

OURS = re.compile(
    r"containerd|etcd|kube-|kubelet|gitea|versitygw|docker-registry|supervisord|coredns|argocd", re.IGNORECASE
)


def listening(host: Host) -> list[tuple[str, str, int]]:
    """Program, address and port of each listening TCP socket of a process that runs a program of the platform."""
    found = []
    for line in host.check_output("ss --no-header --listening --tcp --numeric --processes").splitlines():
        local, users = line.split()[3], line.partition("users:")[2]
        address, _, port = local.rpartition(":")
        for program, pid in re.findall(r'\("([^"]+)",pid=(\d+)', users):
            if OURS.search(program) and belongs(int(pid)):
                found.append((program, address.strip("[]").partition("%")[0], int(port)))
    return found


def belongs(pid: int) -> bool:
    """Whether a process is the platform's own: other tests start the same programs on ports of their own."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
    state = str(Paths.from_environment().state)
    return "kubepods" in groups or state in command


def test_nothing_listens_beyond_loopback_and_the_node_address(host: Host, cluster: Cluster) -> None:
    allowed = {cluster.kubernetes.node_address}
    sockets = listening(host)
    assert sockets
    wide = [one for one in sockets if one[1] not in allowed and not is_loopback(one[1])]
    assert wide == []


def is_loopback(address: str) -> bool:
    return address != "*" and ipaddress.ip_address(address).is_loopback


def test_every_service_listens_where_the_cluster_file_says(host: Host, cluster: Cluster) -> None:
    node = cluster.kubernetes.node_address
    found = {(address, port) for _, address, port in listening(host)}
    assert found >= {
        (node, cluster.kubernetes.api_port),
        (node, int(cluster.object_store.endpoint.rpartition(":")[2])),
        (node, int(cluster.registry.host.rpartition(":")[2])),
        (node, int(cluster.forge.url.rpartition(":")[2])),
        (node, 2379),
        (node, 10250),
        ("127.0.0.1", 10257),
        ("127.0.0.1", 10259),
    }


def test_the_node_address_is_on_the_loopback_device(host: Host, cluster: Cluster) -> None:
    assert cluster.kubernetes.node_address in host.interface("lo").addresses


@pytest.mark.parametrize(
    ("name", "value"),
    [("net.ipv4.ip_forward", 1), ("net.bridge.bridge-nf-call-iptables", 1), ("net.bridge.bridge-nf-call-ip6tables", 1)],
)
def test_kernel_parameters(host: Host, name: str, value: int) -> None:
    assert host.sysctl(name) == value


def test_local_node_ports_stay_off_loopback(host: Host) -> None:
    """kube-proxy would switch it on to serve node ports on 127.0.0.1, where every local program reaches them."""
    assert host.sysctl("net.ipv4.conf.all.route_localnet") == 0


def test_pods_have_a_bridge_within_the_pod_range(host: Host, cluster: Cluster) -> None:
    pods = ipaddress.ip_network(cluster.kubernetes.pod_cidr)
    addresses = [one for one in host.interface("cni0").addresses if ":" not in one]
    assert addresses
    assert all(ipaddress.ip_address(one) in pods for one in addresses)


def test_the_cluster_dns_answers_through_its_service_address(cluster: Cluster) -> None:
    """A query by hand: from the host, through kube-proxy's rules, to CoreDNS."""
    name = b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b"."))
    query = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(query, (cluster.kubernetes.dns_address, 53))
        answer = client.recv(512)
    first = ipaddress.ip_network(cluster.kubernetes.service_cidr)[1]
    assert answer[:2] == query[:2]
    assert answer[-4:] == first.packed


@pytest.fixture
def neighbour(host: Host) -> Iterator[Callable[[str, int], bool]]:
    """A machine beside this one that sends the cluster's addresses here: whether it gets a connection there."""
    # A process's own network; `ip netns` would leave a mount behind.
    machine = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    inside = f"nsenter --net=/proc/{machine.pid}/ns/net"
    time.sleep(0.5)
    try:
        for command in (
            f"ip link add ml-test0 type veth peer name eth0 netns {machine.pid}",
            "ip address add 198.51.100.129/30 dev ml-test0",
            "ip link set ml-test0 up",
            f"{inside} ip address add 198.51.100.130/30 dev eth0",
            f"{inside} ip link set eth0 up",
            f"{inside} ip route add default via 198.51.100.129",
        ):
            host.check_output(command)
        yield lambda address, port: bool(host.run(f"{inside} {connect(address, port)}").rc == 0)
    finally:
        machine.kill()
        machine.wait()
        host.run("ip link delete ml-test0")


def connect(address: str, port: int) -> str:
    """A command that succeeds where a TCP connection does."""
    return f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{port}'"


def test_a_neighbour_reaches_neither_services_nor_pods(
    neighbour: Callable[[str, int], bool], host: Host, cluster: Cluster, kubectl: Callable[..., str]
) -> None:
    open_here = socket.create_server(("198.51.100.129", 0))
    with open_here:
        assert neighbour("198.51.100.129", open_here.getsockname()[1]), "the neighbour's link itself does not work"
    dns = kubectl(
        "get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].status.podIP}"
    )
    targets = [
        (cluster.kubernetes.node_address, cluster.kubernetes.api_port),
        (cluster.kubernetes.node_address, int(cluster.forge.url.rpartition(":")[2])),
        (cluster.kubernetes.node_address, cluster.argocd.node_port),
        (cluster.kubernetes.dns_address, 53),
        (dns, 53),
    ]
    assert all(host.run(connect(address, port)).rc == 0 for address, port in targets)
    assert [target for target in targets if neighbour(*target)] == []
