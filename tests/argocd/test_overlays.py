"""Each app's objects, as Argo CD builds them: valid, within what its project may deploy, images by digest."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from control_plane.argo import IMAGES, REGISTRY, STAGES, Argo
from mlplatform.releases import has_registry
from runner_harness.process import tool
from settings import ROOT

pytestmark = pytest.mark.render

DIGEST = f"sha256:{'d' * 64}"
APPS = ROOT / "apps"
PLATFORM = sorted(path.parents[1].name for path in APPS.glob("*/overlays/platform"))
SERVED = sorted(path.parent.name for path in APPS.glob("*/base") if path.parent.name not in PLATFORM)
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace", "PersistentVolume"}


def test_there_are_apps_of_both_kinds() -> None:
    assert "runner-controller" in PLATFORM
    assert "classifier" in SERVED


@pytest.fixture(params=[*[(app, "platform") for app in PLATFORM], *[(app, "dev") for app in SERVED]], ids="-".join)
def overlay(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, list[dict[str, Any]]]:
    """An app's overlay in a copy of the app, with the images that the ApplicationSet would set: app, overlay, objects.

    An overlay that no deploy pull request has created yet is as that pull request would write it.
    """
    app, name = request.param
    copy = tmp_path / app
    shutil.copytree(APPS / app, copy, ignore=shutil.ignore_patterns("src", "__pycache__"))
    folder = copy / "overlays" / name
    if not folder.is_dir():
        folder.mkdir(parents=True)
        first = {"resources": ["../../base"], "images": [{"name": app, "digest": DIGEST}]}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(first))
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text()).get("images", [])
    ours = [item["name"] for item in listed if "newName" not in item and not has_registry(item["name"])]
    images = dict(IMAGES) if name == "platform" else dict.fromkeys([app, *ours], "*")
    arguments = [f"{item}={REGISTRY}/{item}@{digest}" for item, digest in images.items()]
    subprocess.run([tool("kustomize"), "edit", "set", "image", *arguments], cwd=folder, check=True)
    built = subprocess.run([tool("kustomize"), "build", str(folder)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return app, name, list(yaml.safe_load_all(built.stdout))


def _containers(item: Any) -> list[dict[str, Any]]:
    if isinstance(item, list):
        return [found for entry in item for found in _containers(entry)]
    if not isinstance(item, dict):
        return []
    own = [*item.get("initContainers", []), *item.get("containers", [])]
    return [*own, *(found for value in item.values() for found in _containers(value))]


def _target(app: str, name: str) -> str:
    return app if name == "platform" else name


def test_every_image_is_by_digest_from_the_clusters_registry_or_an_app_names_another(
    overlay: tuple[str, str, list[dict[str, Any]]],
) -> None:
    app, name, documents = overlay
    images = [container["image"] for container in _containers(documents)]
    assert images, app
    for image in images:
        host, _, digest = image.partition("@")
        assert host.startswith(f"{REGISTRY}/") or (name != "platform" and has_registry(host)), image
        assert len(digest) == len(DIGEST), image


def test_every_object_may_be_deployed_by_its_project(
    overlay: tuple[str, str, list[dict[str, Any]]], built: list[dict[str, Any]]
) -> None:
    app, name, documents = overlay
    root = yaml.safe_load_all((ROOT / "argocd" / "root.yaml").read_text())
    project = "platform" if name == "platform" else "apps"
    (spec,) = (
        item["spec"] for item in (*built, *root) if item["kind"] == "AppProject" and item["metadata"]["name"] == project
    )
    allowed = {(entry["group"], entry["kind"]) for entry in spec["namespaceResourceWhitelist"]}
    for document in documents:
        group = document["apiVersion"].rpartition("/")[0]
        assert (group, document["kind"]) in allowed, f"{app}: argocd/projects: {project} may not deploy this kind"
        assert document["metadata"].get("namespace", _target(app, name)) == _target(app, name)


def test_the_api_server_takes_every_object(overlay: tuple[str, str, list[dict[str, Any]]], argo: Argo) -> None:
    app, name, documents = overlay
    namespace = _target(app, name)
    for document in documents:
        document["metadata"].setdefault("namespace", namespace)
        assert document["kind"] not in CLUSTER_WIDE
    argo.plane.kubectl_apply(documents, dry_run=True)


def test_the_stages_pod_security_admits_the_pods(overlay: tuple[str, str, list[dict[str, Any]]], argo: Argo) -> None:
    app, name, documents = overlay
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{_target(app, name)}"
    argo.plane.patch(path, {"metadata": {"labels": labels}}).raise_for_status()
    templates = [item.get("template") or item.get("spec", {}).get("template") for item in documents]
    pods = [template for template in templates if template]
    assert pods
    for number, template in enumerate(pods):
        metadata = {"name": f"{app}-{number}", "namespace": _target(app, name)}
        spec = {**template["spec"], "serviceAccountName": "default"}
        argo.plane.kubectl_apply(
            [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}], dry_run=True
        )


@pytest.mark.parametrize("app", [*PLATFORM, *SERVED])
def test_a_change_of_any_input_refreshes_the_application(app: str, built: list[dict[str, Any]]) -> None:
    """`manifest-generate-paths` covers every folder that the kustomization really reads."""
    overlay = "platform" if app in PLATFORM else STAGES[0]
    (annotations,) = (
        item["spec"]["template"]["metadata"]["annotations"]
        for item in built
        if item["kind"] == "ApplicationSet" and item["metadata"]["name"] == ("platform" if app in PLATFORM else "apps")
    )
    folder = APPS / app / "overlays" / overlay
    covered = [
        Path(folder, path).resolve() for path in annotations["argocd.argoproj.io/manifest-generate-paths"].split(";")
    ]
    for read in {folder.resolve(), *_inputs(folder if folder.is_dir() else APPS / app / "base")}:
        assert any(read.is_relative_to(path) for path in covered), f"{read} is not covered"


def _inputs(folder: Path) -> set[Path]:
    """The folders that a kustomization reads, itself included."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found = {folder.resolve()}
    for name in (*kustomization.get("resources", []), *kustomization.get("components", [])):
        path = folder / name
        found |= _inputs(path) if path.is_dir() else {path.parent.resolve()}
    return found
