"""What Argo CD's own controller makes on a cluster of AWS, from the documents that the cluster's stack renders."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import example
import program
from aws import naming
from cli import applications
from control_plane.argo import Argo, controllers
from runner_harness.process import eventually

pytestmark = pytest.mark.render

STACK = "dev"
EMPTY = "resources: []\n"
OVERLAYS = {
    "apps/classifier/overlays/dev": EMPTY,
    "apps/classifier/overlays/prod": EMPTY,
    "apps/runner-controller/overlays/platform": EMPTY,
}
CLUSTER = "kubernetes:core/v1:Secret", "gitops-cluster"


@pytest.fixture(scope="module")
def documents() -> list[dict[str, Any]]:
    """Every object that the stack makes in the cluster."""
    with example.instead():
        recorded = program.run(STACK)
    found = [item.inputs for item in recorded if item.type.startswith("kubernetes:")]
    assert "ml-platform.dev/cluster" not in recorded.one(*CLUSTER).inputs["metadata"]["labels"], "it has no images"
    return found


@pytest.fixture(scope="module")
def argo(
    tmp_path_factory: pytest.TempPathFactory, built: list[dict[str, Any]], documents: list[dict[str, Any]]
) -> Iterator[Argo]:
    """The controllers on that cluster, and a git repository that stands for the forge's."""
    forge = example.stage(STACK).forge.clone_url

    def bridge(repo_url: str) -> list[dict[str, Any]]:
        own = [item for item in documents if item["kind"] in {"AppProject", "Application"}]
        own += [item for item in documents if item["metadata"]["name"] == f"cluster-{STACK}"]
        moved: list[dict[str, Any]] = json.loads(json.dumps(own).replace(forge, repo_url))
        return moved

    with controllers(tmp_path_factory.mktemp("aws"), built, documents, bridge) as found:
        found.commit(OVERLAYS)
        yield found


def test_d1_a_cluster_without_images_of_its_own_gets_its_apps_and_none_of_the_platforms_services(argo: Argo) -> None:
    eventually(lambda: "classifier-dev" in argo.applications(), "the app of its stage exists", 120)

    def settled() -> bool:
        found = {one.name: one for one in applications.sets(argo.kubectl)}
        return not any(one.error or one.refreshing for one in found.values())

    eventually(settled, "both sets have read the repository", 240)
    assert set(argo.applications()) == {"classifier-dev"}
    spec = argo.applications()["classifier-dev"]["spec"]
    shared = example.shared()
    registry = naming.registry_host(shared.account, shared.region)
    assert spec["source"]["kustomize"]["images"] == [f"classifier={registry}/classifier@*"]
    assert spec["destination"] == {"server": "https://kubernetes.default.svc", "namespace": "dev"}


def test_d1_a_cluster_that_names_no_stage_gets_nothing_and_hinders_no_other(argo: Argo) -> None:
    """As one that a person registered with Argo CD for something else."""
    metadata = {"name": "foreign", "namespace": "argocd", "labels": {"argocd.argoproj.io/secret-type": "cluster"}}
    secret = {"name": "foreign", "server": "https://foreign.test", "config": "{}"}
    argo.plane.kubectl_apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret}])
    argo.commit(OVERLAYS | {"apps/new/overlays/dev": EMPTY})
    eventually(lambda: "new-dev" in argo.applications(), "an app that is added is made", 120)
    assert set(argo.applications()) == {"classifier-dev", "new-dev"}
    assert argo.conditions("apps") == {}
