"""S1: what a job, and an account of this host that is not the platform's, can connect to. Tried from where they are."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cli import health, kube
from mlplatform.network import egress
from settings import Cluster, Paths, load_local

pytestmark = pytest.mark.host

NAMESPACE = "runner-controller"
NOBODY = 65534
# A machine beside this one that has an address of the internet (kept for documentation) and a private one.
PUBLIC, PRIVATE = "198.51.100.130", "10.99.77.130"

Target = tuple[str, int]
Kubectl = Callable[..., str]

# Reads [[host, port], ...] and prints those to which it gets a TCP connection. Side by side: most would time out.
CONNECT = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(target):
    try:
        with socket.create_connection(tuple(target), 4):
            return True
    except OSError:
        return False
targets = json.load(sys.stdin)
with ThreadPoolExecutor(64) as pool:
    print(json.dumps([target for target, ok in zip(targets, pool.map(opens, targets)) if ok]))
"""
# Answers at each address and port that it is told, and says so.
SERVE = """
import socket, sys, threading
def serve(listening):
    while True:
        listening.accept()[0].close()
for target in sys.argv[1:]:
    address, _, port = target.rpartition(":")
    threading.Thread(target=serve, args=[socket.create_server((address, int(port)))]).start()
print("ready", flush=True)
"""


def parsed(answer: str) -> set[Target]:
    return {(host, port) for host, port in json.loads(answer)}


def from_here(targets: set[Target], user: int = 0) -> set[Target]:
    """Those of `targets` that a process of this host, run as `user`, gets a connection to."""
    command = ["/usr/bin/python3", "-c", CONNECT]
    done = subprocess.run(
        command, input=json.dumps(sorted(targets)), user=user, capture_output=True, text=True, check=True, cwd="/"
    )
    return parsed(done.stdout)


@pytest.fixture(scope="module")
def kubectl(platform: Paths, tool: Callable[[str], Path]) -> Kubectl:
    def run(*arguments: str, text: str = "") -> str:
        command = [tool("kubectl"), f"--kubeconfig={platform.kubeconfig}", "--request-timeout=60s", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def start_job(kubectl: Kubectl) -> Iterator[Callable[..., str]]:
    """Starts a pod as the controller starts a job's of a trust class, of the pool's own template, which then waits;
    returns its name."""
    template = json.loads(kubectl("get", "podtemplate", "ml-cpu", "-n", NAMESPACE, "--output=json"))["template"]
    names: list[str] = []

    def start(name: str, trust: str = "untrusted") -> str:
        spec = {**template["spec"], "initContainers": [], "restartPolicy": "Never"}
        (container,) = spec["containers"]
        spec["containers"] = [{**container, "command": ["sleep", "600"], "resources": {}}]
        labels = {"app.kubernetes.io/component": "job", "ml-platform.dev/trust": trust}
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {**template["metadata"].get("labels", {}), **labels},
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        names.append(name)
        kubectl("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=0", "--force")
        kubectl("apply", "--filename=-", text=json.dumps(pod))
        kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", NAMESPACE, "--timeout=60s")
        return name

    yield start
    for name in names:
        kubectl("delete", "pod", name, "-n", NAMESPACE, "--ignore-not-found", "--grace-period=0", "--force")


@pytest.fixture(scope="module")
def from_pod(kubectl: Kubectl, start_job: Callable[..., str]) -> Callable[..., Callable[[set[Target]], set[Target]]]:
    """Starts a job's pod; what it returns says to which of some targets that pod gets a connection."""

    def start(name: str, **options: str) -> Callable[[set[Target]], set[Target]]:
        start_job(name, **options)
        time.sleep(3)  # until the firewall knows the pod it is cut off, which would pass for a refusal

        def run(targets: set[Target]) -> set[Target]:
            command = ("exec", "-i", name, "-n", NAMESPACE, "--", "python3", "-c", CONNECT)
            return parsed(kubectl(*command, text=json.dumps(sorted(targets))))

        return run

    return start


@pytest.fixture(scope="module")
def from_job(from_pod: Callable[..., Callable[[set[Target]], set[Target]]]) -> Callable[[set[Target]], set[Target]]:
    """Those of some targets that a job gets a connection to."""
    return from_pod("attack-s1")


def endpoint(address: str) -> Target:
    parts = urlsplit(address if "//" in address else f"//{address}")
    assert parts.hostname
    return parts.hostname, parts.port or 80


@pytest.fixture(scope="module")
def services(cluster: Cluster) -> set[Target]:
    """What jobs work with: forge, object store and registry."""
    return {endpoint(one) for one in (cluster.forge.url, cluster.object_store.endpoint, cluster.registry.host)}


@pytest.fixture(scope="module")
def pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    """Running pods with an address of their own."""
    found = json.loads(kubectl("get", "pods", "--all-namespaces", "--field-selector=status.phase=Running", "-ojson"))
    return [one for one in found["items"] if not one["spec"].get("hostNetwork")]


@pytest.fixture(scope="module")
def inner(pods: list[dict[str, Any]], kubectl: Kubectl) -> set[Target]:
    """Every port that pods and services of the cluster say they have, the cluster's DNS apart."""
    found = {
        (pod["status"]["podIP"], port["containerPort"])
        for pod in pods
        if pod["metadata"]["labels"].get("k8s-app") != "kube-dns"
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("protocol", "TCP") == "TCP"
    }
    for service in json.loads(kubectl("get", "services", "--all-namespaces", "-ojson"))["items"]:
        if service["metadata"]["name"] != "kube-dns":
            found |= {(service["spec"]["clusterIP"], port["port"]) for port in service["spec"]["ports"]}
    answering = from_here(found)
    assert len(answering) > 12, "the platform's own services do not answer to root either"
    # Not among them: the webhook of the ApplicationSet controller, which a first start before Argo CD's key leaves out.
    assert {port for _, port in answering} >= {443, 6379, 8080, 8081, 8082, 8083, 8084}
    return answering


@pytest.fixture(scope="module")
def control_plane(cluster: Cluster) -> set[Target]:
    """The API server, etcd, kubelet and kube-proxy at the node address."""
    node = cluster.kubernetes.node_address
    found = {(node, port) for port in (cluster.kubernetes.api_port, 2379, 2380, 10250, 10256)}
    assert from_here(found) == found
    return found


@pytest.fixture
def neighbour() -> Iterator[set[Target]]:
    """A machine beside this one that answers on two ports of a public and of a private address."""
    machine = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    inside = f"nsenter --net=/proc/{machine.pid}/ns/net"
    time.sleep(0.5)
    answering = {(address, port) for address in (PUBLIC, PRIVATE) for port in (443, 8443)}
    server = None
    try:
        for command in (
            f"ip link add ml-test1 type veth peer name eth0 netns {machine.pid}",
            "ip address add 198.51.100.129/30 dev ml-test1",
            "ip address add 10.99.77.129/30 dev ml-test1",
            "ip link set ml-test1 up",
            f"{inside} ip address add {PUBLIC}/30 dev eth0",
            f"{inside} ip address add {PRIVATE}/30 dev eth0",
            f"{inside} ip link set eth0 up",
            f"{inside} ip route add default via 198.51.100.129",
        ):
            subprocess.run(command.split(), check=True)
        addresses = [f"{address}:{port}" for address, port in answering]
        words = [*inside.split(), "python3", "-c", SERVE, *addresses]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        assert from_here(answering) == answering
        yield answering
    finally:
        if server:
            server.kill()
            server.communicate()
        machine.kill()
        machine.wait()
        subprocess.run(["ip", "link", "delete", "ml-test1"], check=False)


def test_s1_a_job_reaches_the_services_it_works_with(
    from_job: Callable[[set[Target]], set[Target]], services: set[Target], cluster: Cluster
) -> None:
    dns = (cluster.kubernetes.dns_address, 53)
    assert from_job({*services, dns}) == {*services, dns}


def test_s1_a_job_reaches_no_pod_and_no_service(
    from_job: Callable[[set[Target]], set[Target]], inner: set[Target]
) -> None:
    assert from_job(inner) == set()


def test_s1_a_job_reaches_nothing_of_the_control_plane(
    from_job: Callable[[set[Target]], set[Target]], control_plane: set[Target], cluster: Cluster
) -> None:
    node_port = (cluster.kubernetes.node_address, cluster.argocd.node_port)
    assert from_here({node_port}) == {node_port}
    assert from_job({*control_plane, node_port, ("kubernetes.default.svc", 443)}) == set()


def test_s1_a_job_reaches_no_other_address_of_this_host(from_job: Callable[[set[Target]], set[Target]]) -> None:
    """Neither through the bridge's own address nor through the machine's, which would be a public one in a cloud."""
    with socket.create_server(("0.0.0.0", 0)) as listening:  # noqa: S104 - what must not be reached
        lines = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
        addresses = {line.split()[3].partition("/")[0] for line in lines.splitlines()}
        targets = {(one, listening.getsockname()[1]) for one in addresses if not one.startswith("127.")}
        assert len(targets) >= 3
        assert from_here(targets) == targets
        assert from_job(targets) == set()


def test_s1_a_job_reaches_https_of_public_addresses_only(
    from_job: Callable[[set[Target]], set[Target]], neighbour: set[Target], platform: Paths
) -> None:
    internet = json.loads((platform.state / "host" / "egress.json").read_text())["internet"]
    assert from_job(neighbour) == ({(PUBLIC, 443)} if internet else set())


@pytest.fixture
def within(services: set[Target], inner: set[Target], control_plane: set[Target], cluster: Cluster) -> set[Target]:
    """All that answers on the platform's host and in its cluster."""
    return {*services, *inner, *control_plane, (cluster.kubernetes.node_address, cluster.argocd.node_port)}


def test_s5_what_loads_a_model_reaches_the_forge_the_store_and_dns_alone(
    from_pod: Callable[..., Callable[[set[Target]], set[Target]]],
    within: set[Target],
    neighbour: set[Target],
    cluster: Cluster,
    platform: Paths,
) -> None:
    allowed = {
        endpoint(cluster.forge.url),
        endpoint(cluster.object_store.endpoint),
        (cluster.kubernetes.dns_address, 53),
    }
    # The host's proxy and package indexes, which answer every other job.
    beyond = from_here(set(egress.recorded(platform.state).endpoints()))
    from_evaluation = from_pod("attack-s5", trust="evaluation")
    assert from_evaluation({*allowed, *within, *neighbour, *beyond, ("kubernetes.default.svc", 443)}) == allowed


def test_s1_a_job_does_not_get_round_by_the_links_own_addresses(
    kubectl: Kubectl, from_job: Callable[[set[Target]], set[Target]], pods: list[dict[str, Any]]
) -> None:
    """Policies speak of IPv4. Pods on one bridge also have IPv6 addresses that follow from their MAC addresses."""
    (redis,) = (one for one in pods if one["metadata"]["labels"].get("app.kubernetes.io/name") == "argocd-redis")
    address = redis["status"]["podIP"]
    assert from_here({(address, 6379)})
    neighbours = subprocess.run(["ip", "neighbour", "show", address], capture_output=True, text=True, check=True).stdout
    mac = [int(part, 16) for part in neighbours.split("lladdr ")[1].split()[0].split(":")]
    octets = [mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]]
    local = "fe80::" + ":".join(f"{high:02x}{low:02x}" for high, low in zip(octets[::2], octets[1::2], strict=True))
    assert from_job({(f"{local}%eth0", 6379)}) == set()


def test_s1_another_account_reaches_what_people_use(services: set[Target], cluster: Cluster) -> None:
    expected = {*services, (cluster.kubernetes.node_address, cluster.argocd.node_port)}
    assert from_here(expected, NOBODY) == expected


def test_s1_another_account_reaches_nothing_else(inner: set[Target], control_plane: set[Target]) -> None:
    loopback = from_here({("127.0.0.1", port) for port in (2379, 2381, 10248, 10249, 10257, 10259)})
    assert len(loopback) == 6
    assert from_here({*inner, *control_plane, *loopback}, NOBODY) == set()


@pytest.fixture(scope="module")
def targets(services: set[Target], inner: set[Target]) -> tuple[set[Target], set[Target]]:
    return services, inner


def engine(state: Path) -> int:
    """The process id of this platform's policy engine."""
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        if Path(words[0]).name == "kube-router" and any(str(state) in word for word in words):
            return int(folder.name)
    raise AssertionError("kube-router does not run")


def test_s1_without_its_engine_new_pods_are_cut_off_and_status_says_so(
    platform: Paths,
    kubectl: Kubectl,
    start_job: Callable[..., str],
    from_job: Callable[[set[Target]], set[Target]],
    targets: tuple[set[Target], set[Target]],
) -> None:
    services, inner = targets

    def check() -> health.Check:
        return health.network_policy(kube.Kubectl(platform), load_local("local"), platform)

    assert check().ok, check().detail
    pid = engine(platform.state)
    os.kill(pid, signal.SIGSTOP)
    try:
        name = start_job("attack-s1-unseen")
        command = ("exec", "-i", name, "-n", NAMESPACE, "--", "python3", "-c", CONNECT)
        assert parsed(kubectl(*command, text=json.dumps(sorted({*services, *inner})))) == set()
        # What it has put in place holds.
        assert from_job({*services, *inner}) == services
        assert "not enforced: the engine (kube-router) is not at work" in check().detail
    finally:
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 30
    while not check().ok and time.monotonic() < deadline:
        time.sleep(1)
    assert check().ok, check().detail
