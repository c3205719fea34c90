"""What job pods of one machine may connect to, as it is rendered from the cluster's facts and the host's."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import local
from components import runners
from components.runners import RunnersArgs
from mlplatform.network import egress
from mlplatform.network.egress import Egress
from settings import Cluster, Paths

PROXY = {"proxy.example:3128": ("203.0.113.7",)}


@pytest.fixture(params=[Egress(False, PROXY), Egress(True, {})], ids=["proxy", "internet"])
def beyond(request: pytest.FixtureRequest) -> Egress:
    """What lies beyond the platform: a proxy, or the internet itself."""
    found: Egress = request.param
    return found


@pytest.fixture
def policies(cluster: Cluster, tmp_path: Path, beyond: Egress) -> dict[str, Any]:
    """The specifications by name."""
    paths = Paths(state=tmp_path, cache=tmp_path)
    egress.file(tmp_path).parent.mkdir()
    egress.file(tmp_path).write_text(beyond.text())
    args = RunnersArgs("jobs", {}, {}, "pem", "/cache/runner", local.runners_reach(cluster, paths))
    return {one["metadata"]["name"]: one["spec"] for one in runners.policies(args)}


def endpoints(specification: dict[str, Any]) -> set[tuple[str, int]]:
    """Every range, or pods as they are chosen, with the port that it may be reached at."""
    return {
        (place.get("ipBlock", {}).get("cidr") or str(place), port["port"])
        for rule in specification["egress"]
        for place in rule["to"]
        for port in rule["ports"]
    }


def test_s5_what_loads_a_model_reaches_the_forge_the_store_and_dns_alone(
    policies: dict[str, Any], cluster: Cluster
) -> None:
    dns_pods = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    node = f"{cluster.kubernetes.node_address}/32"
    ports = {urlsplit(address).port for address in (cluster.forge.url, cluster.object_store.endpoint)}
    assert policies["evaluation-egress"]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/component": "job"},
        "matchExpressions": [{"key": "ml-platform.dev/trust", "operator": "In", "values": ["evaluation"]}],
    }
    assert policies["evaluation-egress"]["policyTypes"] == ["Egress"]
    assert endpoints(policies["evaluation-egress"]) == {
        (str(dns_pods), 53),
        (f"{IPv4Network(cluster.kubernetes.service_cidr)[10]}/32", 53),
        *((node, port) for port in ports),
    }


def test_s1_every_other_job_reaches_the_registry_and_what_lies_beyond_the_platform(
    policies: dict[str, Any], cluster: Cluster, beyond: Egress
) -> None:
    registry = (f"{cluster.kubernetes.node_address}/32", int(cluster.registry.host.rpartition(":")[2]))
    more = endpoints(policies["job-egress"]) - endpoints(policies["evaluation-egress"])
    assert more == {registry, ("0.0.0.0/0", 443) if beyond.internet else ("203.0.113.7/32", 3128)}
