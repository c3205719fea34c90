"""Argo CD as this platform installs it: upstream's objects, less what is not used."""

import json
import re
import socket
import subprocess
from typing import Any

import pytest

from control_plane.argo import Argo
from runner_harness.process import free_port

pytestmark = pytest.mark.render

WORKLOADS = {
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "argocd-redis",
    "argocd-repo-server",
    "argocd-server",
}


def _pods(install: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]
        for item in install
        if item["kind"] in {"Deployment", "StatefulSet"}
    }


def test_the_workloads_are_these(install: list[dict[str, Any]]) -> None:
    assert _pods(install).keys() == WORKLOADS


def test_what_is_left_out_left_nothing_behind(install: list[dict[str, Any]]) -> None:
    names = {item["metadata"]["name"] for item in install}
    assert not {name for name in names if "dex" in name or "notifications" in name}
    assert "argocd-secret" not in names, "Pulumi makes it, with what belongs in it"


def test_every_object_of_a_namespace_is_in_argo_cds(install: list[dict[str, Any]]) -> None:
    clusterwide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for item in install:
        expected = None if item["kind"] in clusterwide else "argocd"
        assert item["metadata"].get("namespace") == expected, item["metadata"]["name"]
    for item in install:
        for subject in item.get("subjects", []):
            assert subject["namespace"] == "argocd"


def test_every_container_asks_for_what_it_uses(install: list[dict[str, Any]]) -> None:
    for name, pod in _pods(install).items():
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}, f"{name}/{container['name']}"
            assert "memory" in resources["limits"], f"{name}/{container['name']}"


def test_images_are_upstreams_own_names(install: list[dict[str, Any]]) -> None:
    """The local registry serves them as a mirror, so the manifests are the same where upstream can be reached."""
    images = {
        container["image"].rpartition(":")[0]
        for pod in _pods(install).values()
        for container in (*pod.get("initContainers", []), *pod["containers"])
    }
    assert images == {"quay.io/argoproj/argocd", "public.ecr.aws/docker/library/redis"}


@pytest.mark.parametrize("controller", ["argocd-application-controller", "argocd-applicationset-controller"])
def test_a_controller_starts_after_the_repository_server(install: list[dict[str, Any]], controller: str) -> None:
    pod = _pods(install)[controller]
    (wait,) = pod["initContainers"]
    assert wait["image"] == pod["containers"][0]["image"]
    (service,) = (one for one in install if one["kind"] == "Service" and one["metadata"]["name"] in wait["args"][0])
    host, port = re.findall(r"/dev/tcp/([^/]+)/(\d+)", wait["args"][0])[0]
    assert host == service["metadata"]["name"]
    assert int(port) in {one["port"] for one in service["spec"]["ports"]}


def test_the_wait_ends_once_the_port_answers(install: list[dict[str, Any]]) -> None:
    (wait,) = _pods(install)["argocd-application-controller"]["initContainers"]
    port = free_port()
    script = wait["args"][0].replace("argocd-repo-server/8081", f"127.0.0.1/{port}")
    with subprocess.Popen([*wait["command"], script]) as waiting:
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1.5)
        with socket.create_server(("127.0.0.1", port)):
            assert waiting.wait(10) == 0


def test_the_api_server_takes_every_object(argo: Argo, install: list[dict[str, Any]]) -> None:
    argo.plane.kubectl_apply(install, dry_run=True)


def test_the_namespaces_pod_security_admits_every_pod(argo: Argo, install: list[dict[str, Any]]) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    argo.plane.patch("/api/v1/namespaces/argocd", {"metadata": {"labels": labels}}).raise_for_status()
    for name, spec in _pods(install).items():
        # Admission needs the account, which a dry run of the install did not make.
        pod = {
            "metadata": {"name": f"{name}-0", "namespace": "argocd"},
            "spec": {**spec, "serviceAccountName": "default"},
        }
        argo.plane.kubectl_apply([{"apiVersion": "v1", "kind": "Pod", **pod}], dry_run=True)


def test_a_generators_own_template_is_refused_by_name(argo: Argo, built: list[dict[str, Any]]) -> None:
    """Its schema is left out for Pulumi's sake; that must not let it pass unseen."""
    document = json.loads(json.dumps(next(item for item in built if item["kind"] == "ApplicationSet")))
    document["spec"]["generators"] = [{"clusters": {"template": {"metadata": {}, "spec": {"project": "x"}}}}]
    with pytest.raises(AssertionError, match=r'unknown field "template" in .*generators\.clusters'):
        argo.plane.kubectl_apply([document], dry_run=True)


def test_the_schemas_stay_small_enough_to_compare(install: list[dict[str, Any]]) -> None:
    def size(value: Any) -> int:
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return 1 + sum(size(item) for item in items)

    assert sum(size(item) for item in install) < 15_000


def test_s1_the_server_admits_its_own_namespace_alone(install: list[dict[str, Any]]) -> None:
    (policy,) = (one for one in install if one["metadata"]["name"] == "argocd-server-network-policy")
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": {}}]}]
