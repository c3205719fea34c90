"""The classifier's manifests: what is deployed, under which restrictions, and how one image replaces another."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner_harness.process import tool

pytestmark = pytest.mark.render

BASE = Path(__file__).resolve().parents[3] / "apps" / "classifier" / "base"
DIGEST = f"sha256:{'1' * 64}"


def render(folder: Path) -> dict[str, dict[str, Any]]:
    """Each object of a kustomization by its kind."""
    done = subprocess.run([tool("kustomize"), "build", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    found = {str(item["kind"]): item for item in objects}
    assert len(found) == len(objects)
    return found


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    return render(BASE)


@pytest.fixture(scope="module")
def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod["containers"]
    return dict(only)


def test_the_base_says_neither_namespace_nor_registry_nor_digest(objects: dict[str, dict[str, Any]]) -> None:
    assert set(objects) == {"Deployment", "NetworkPolicy", "Service", "ServiceAccount"}
    assert all("namespace" not in item["metadata"] for item in objects.values())
    assert objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"] == "classifier"


def test_the_pod_meets_the_restricted_standard(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "emptyDir"}]


def test_what_it_may_use_is_limited(container: dict[str, Any]) -> None:
    for kind in ("requests", "limits"):
        assert set(container["resources"][kind]) == {"cpu", "memory"}


def test_the_pod_has_no_token(pod: dict[str, Any], objects: dict[str, dict[str, Any]]) -> None:
    assert pod["serviceAccountName"] == objects["ServiceAccount"]["metadata"]["name"]
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False


def test_a_release_leaves_no_moment_without_a_ready_pod(objects: dict[str, dict[str, Any]]) -> None:
    strategy = objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_service_reaches_the_port_that_the_probes_ask(
    objects: dict[str, dict[str, Any]], container: dict[str, Any]
) -> None:
    (port,) = objects["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")
    assert container["ports"] == [{"name": "http", "containerPort": 3000}]
    assert {container[f"{name}Probe"]["httpGet"]["port"] for name in ("startup", "readiness", "liveness")} == {"http"}
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Service"]["spec"]["selector"].items() <= labels.items()
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "classifier"}


def test_an_overlay_needs_image_and_digest_only(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    base = os.path.relpath(BASE, overlay)
    content = {"resources": [base], "images": [{"name": "classifier", "digest": DIGEST}]}
    (overlay / "kustomization.yaml").write_text(json.dumps(content))
    image = render(overlay)["Deployment"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"classifier@{DIGEST}"


def test_s1_only_pods_of_its_stage_ask_it_and_it_asks_nobody(objects: dict[str, dict[str, Any]]) -> None:
    spec = objects["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == objects["Deployment"]["spec"]["selector"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in spec
    (rule,) = spec["ingress"]
    assert rule["from"] == [{"podSelector": {}}]
    assert [port["port"] for port in rule["ports"]] == ["http"]
