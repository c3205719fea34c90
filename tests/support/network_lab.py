"""Pods without a node: networks on one bridge, a real API server that names them, and the real policy engine.

Run as a program, in a network of its own (`unshare --net`): reads the chains of the host (JSON, for `node_firewall`)
from the file that it is given, and prints after each step which connections succeed.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from components import network_policies
from components.network_policies import Endpoint
from control_plane.kubernetes import ControlPlane, control_plane
from runner_harness.process import eventually, running, tool
from settings import ROOT

NODE = "10.254.254.1"
SERVICES = "10.202.0.0/16"
FORGE, API, ETCD = 3000, 6443, 2379
PODS = {"job": "10.201.0.2", "redis": "10.201.0.3", "dns": "10.201.0.4"}
METRICS = 20241
CONNECTIONS = (
    ("job", NODE, FORGE),
    ("job", NODE, API),
    ("job", NODE, ETCD),
    ("job", PODS["redis"], 6379),
    ("job", PODS["dns"], 53),
    ("redis", NODE, API),
    ("node", PODS["redis"], 6379),
)
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
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5)"


def shell(*commands: str) -> None:
    for command in commands:
        subprocess.run(command.split(), check=True, capture_output=True)


@contextmanager
def pod(name: str, number: int) -> Iterator[list[str]]:
    """A network on the bridge; yields what a command in it begins with."""
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as process:
        inside = f"nsenter --net=/proc/{process.pid}/ns/net"
        try:
            time.sleep(0.5)
            shell(
                f"ip link add veth{number} type veth peer name eth0 netns {process.pid}",
                f"ip link set veth{number} master cni0 up",
                f"{inside} ip address add {PODS[name]}/16 dev eth0",
                f"{inside} ip link set eth0 up",
                f"{inside} ip route add default via 10.201.0.1",
            )
            yield inside.split()
        finally:
            process.kill()


@contextmanager
def server(prefix: list[str], *targets: str) -> Iterator[None]:
    words = [*prefix, sys.executable, "-c", SERVE, *targets]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


def announce(plane: ControlPlane, namespace: str, name: str, labels: dict[str, str]) -> None:
    """Tell the API server of a pod as kubelet does once the pod has its address."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"nodeName": "local", "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]}
    plane.http.post(path, json={"metadata": {"name": name, "labels": labels}, "spec": spec}).raise_for_status()
    address = {"podIP": PODS[name], "podIPs": [{"ip": PODS[name]}], "hostIP": NODE, "hostIPs": [{"ip": NODE}]}
    plane.patch(f"{path}/{name}/status", {"status": {"phase": "Running", **address}}).raise_for_status()


def prepare(plane: ControlPlane) -> None:
    """The node, the namespaces with their policies, and every pod but the job."""
    plane.http.post("/api/v1/nodes", json={"metadata": {"name": "local"}}).raise_for_status()
    addresses = [{"type": "InternalIP", "address": NODE}]
    plane.patch("/api/v1/nodes/local/status", {"status": {"addresses": addresses}}).raise_for_status()

    def policy(document: dict[str, Any]) -> None:
        path = f"/apis/networking.k8s.io/v1/namespaces/{document['metadata']['namespace']}/networkpolicies"
        plane.http.post(path, json=document).raise_for_status()

    for namespace in ("jobs", "argocd"):
        plane.http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
        policy(network_policies.default_deny(namespace))
    to_forge = [network_policies.to_dns(SERVICES), *network_policies.to_endpoints([Endpoint(f"{NODE}/32", FORGE)])]
    policy(network_policies.policy("job-egress", "jobs", {"matchLabels": {"kind": "job"}}, egress=to_forge))
    to_api = network_policies.to_endpoints([Endpoint(f"{NODE}/32", API)])
    policy(network_policies.policy("redis-egress", "argocd", {}, egress=to_api))
    for namespace in ("jobs", "argocd", "kube-system"):
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        eventually(partial(plane.exists, account), "the accounts of pods", 60)
    announce(plane, "argocd", "redis", {})
    announce(plane, "kube-system", "dns", {"k8s-app": "kube-dns"})


def firewall() -> ModuleType:
    """Ansible's module, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("node_firewall", ROOT / "infra/ansible/library/node_firewall.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(chains: list[dict[str, Any]], work: Path) -> None:
    def say(step: str) -> None:
        found = [
            f"{source} {address}:{port}"
            for source, address, port in CONNECTIONS
            if subprocess.run(
                [*inside[source], sys.executable, "-c", CONNECT, address, str(port)], capture_output=True, check=False
            ).returncode
            == 0
        ]
        print(json.dumps({"step": step, "open": found}), flush=True)

    shell(
        "ip link set lo up",
        f"ip address add {NODE}/32 dev lo",
        "ip link add cni0 type bridge",
        "ip address add 10.201.0.1/16 dev cni0",
        "ip link set cni0 up",
        "sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1",
    )
    with ExitStack() as stack:
        inside = {name: stack.enter_context(pod(name, number)) for number, name in enumerate(PODS)}
        inside["node"] = []
        stack.enter_context(server([], *(f"{NODE}:{port}" for port in (FORGE, API, ETCD))))
        stack.enter_context(server(inside["redis"], "0.0.0.0:6379"))
        stack.enter_context(server(inside["dns"], "0.0.0.0:53"))
        say("no engine")
        plane = stack.enter_context(control_plane(work))
        prepare(plane)
        engine = [
            tool("kube-router"),
            f"--kubeconfig={plane.kubeconfig}",
            "--hostname-override=local",
            *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--run-loadbalancer=false"),
            *("--enable-cni=false", "--health-port=0", f"--service-cluster-ip-range={SERVICES}"),
            *("--metrics-addr=127.0.0.1", f"--metrics-port={METRICS}"),
        ]
        with running(engine, work / "kube-router.log", lambda: _rules_of("redis")):
            say("the engine does not know the job")
            for family in ("iptables", "ip6tables"):
                for table in ("raw", "mangle", "security"):
                    of_table = [one for one in chains if (one["family"], one["table"]) == (family, table)]
                    firewall().keep(family, table, of_table, False)
            say("and the host cuts it off")
            announce(plane, "jobs", "job", {"kind": "job"})
            eventually(lambda: _rules_of("job"), "the rules of the job", 30)
            say("the engine knows the job")
        say("the engine is gone")


def _rules_of(name: str) -> bool:
    saved = subprocess.run(["iptables-save", "-t", "filter"], capture_output=True, text=True, check=True).stdout
    return f"-A KUBE-ROUTER-FORWARD -s {PODS[name]}/32 " in saved


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="network-lab-") as folder:
        main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(folder))
