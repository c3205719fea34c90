"""Who may deploy what, and where."""

import re
from typing import Any

import pytest
import yaml

from control_plane.argo import Argo
from settings import ROOT, load_local

pytestmark = pytest.mark.render

IN_CLUSTER = "https://kubernetes.default.svc"
# With these an app could raise its own rights, or reach what is Pulumi's.
NEVER_FOR_APPS = {"ClusterRole", "ClusterRoleBinding", "Namespace", "Role", "RoleBinding", "Secret"}


@pytest.fixture(scope="module")
def projects(built: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    root = yaml.safe_load_all((ROOT / "argocd" / "root.yaml").read_text())
    return {item["metadata"]["name"]: item["spec"] for item in (*built, *root) if item["kind"] == "AppProject"}


def test_there_are_exactly_these(projects: dict[str, dict[str, Any]]) -> None:
    assert projects.keys() == {"apps", "default", "platform"}


def test_the_default_project_may_do_nothing(projects: dict[str, dict[str, Any]]) -> None:
    lists = ("sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist")
    assert {name: projects["default"][name] for name in lists} == {name: [] for name in lists}


def test_no_project_has_a_wildcard_or_a_repository_of_its_own(projects: dict[str, dict[str, Any]]) -> None:
    for name, spec in projects.items():
        assert spec["sourceRepos"] == [], "Pulumi and the root fill them in"
        assert spec["clusterResourceWhitelist"] == [], name
        for entry in (*spec["destinations"], *spec["namespaceResourceWhitelist"]):
            assert not any("*" in value for value in entry.values()), f"{name}: {entry}"


def test_apps_reach_exactly_the_stages_of_the_cluster(projects: dict[str, dict[str, Any]]) -> None:
    destinations = [(entry["server"], entry["namespace"]) for entry in projects["apps"]["destinations"]]
    assert destinations == [(IN_CLUSTER, stage) for stage in load_local("local").stages]


def test_apps_cannot_raise_their_own_rights(projects: dict[str, dict[str, Any]]) -> None:
    kinds = {entry["kind"] for entry in projects["apps"]["namespaceResourceWhitelist"]}
    assert kinds & NEVER_FOR_APPS == set()


def test_the_platform_reaches_its_own_namespaces_only(projects: dict[str, dict[str, Any]]) -> None:
    namespaces = {entry["namespace"] for entry in projects["platform"]["destinations"]}
    assert namespaces == {"argocd", "bot", "runner-controller"}


@pytest.mark.parametrize("folder", ["applicationsets", "projects"])
def test_no_file_names_a_registry_or_a_forge(folder: str) -> None:
    cluster = load_local("local")
    local = (cluster.kubernetes.node_address, cluster.registry.host, cluster.forge.url, cluster.forge.repository)
    for path in (ROOT / "argocd" / folder).iterdir():
        text = path.read_text()
        assert not any(fact in text for fact in local), path
        assert not re.search(r"\b\d{1,3}(\.\d{1,3}){3}\b", text), path


def test_the_root_applies_these_files_and_no_others(built: list[dict[str, Any]]) -> None:
    """A file that the kustomization forgets would silently not exist."""
    listed = set(yaml.safe_load((ROOT / "argocd" / "kustomization.yaml").read_text())["resources"])
    there = {
        str(path.relative_to(ROOT / "argocd"))
        for folder in ("applicationsets", "projects")
        for path in (ROOT / "argocd" / folder).iterdir()
    }
    assert listed == there
    assert len(built) == len(there)
    assert all(item["metadata"]["namespace"] == "argocd" for item in built)


def test_the_controllers_take_the_projects(argo: Argo) -> None:
    path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects"
    spec = argo.plane.get(f"{path}/apps")["spec"]
    assert spec["sourceRepos"] == [argo.repo_url]
    assert argo.plane.get(f"{path}/default")["spec"].get("sourceRepos", []) == []
