"""Argo CD's manifests are built from the pinned release once, and again when anything changes."""

import os
from pathlib import Path

import pytest

import argocd_install
from runner_harness.process import tool
from settings import Paths, SettingsError

pytestmark = pytest.mark.tools

UPSTREAM = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: upstream
---
apiVersion: v1
kind: Secret
metadata:
  name: unwanted
"""
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
namespace: argocd
patches: [{path: patch.yaml}]
"""
PATCH = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: unwanted\n$patch: delete\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "state", tmp_path / "cache")
    folder = paths.tools / "argocd" / "v1"
    (folder / "manifests").mkdir(parents=True)
    (folder / "manifests" / "install.yaml").write_text(UPSTREAM)
    (folder / "argocd").touch()
    paths.bin.mkdir()
    (paths.bin / "argocd").symlink_to(folder / "argocd")
    (paths.bin / "kustomize").symlink_to(os.path.realpath(tool("kustomize")))
    return paths


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    folder = tmp_path / "install"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(KUSTOMIZATION)
    (folder / "patch.yaml").write_text(PATCH)
    return folder


def _names(documents: list[argocd_install.Document]) -> list[str]:
    return [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in documents]


def test_patches_are_applied_to_the_release(paths: Paths, patches: Path) -> None:
    assert _names(argocd_install.documents(paths, patches)) == ["argocd/upstream"]


def test_it_is_built_once_and_again_after_a_change(
    paths: Paths, patches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    first = argocd_install.documents(paths, patches)
    (paths.bin / "kustomize").unlink()
    assert argocd_install.documents(paths, patches) == first
    (patches / "patch.yaml").write_text(PATCH.replace("unwanted", "upstream").replace("Secret", "ConfigMap"))
    with pytest.raises(SettingsError, match=r"kustomize: cannot be run .*; scripts/up installs it"):
        argocd_install.documents(paths, patches)
    (paths.bin / "kustomize").symlink_to(os.path.realpath(tool("kustomize")))
    assert _names(argocd_install.documents(paths, patches)) == ["argocd/unwanted"]


def test_a_damaged_cache_is_built_anew(paths: Paths, patches: Path) -> None:
    first = argocd_install.documents(paths, patches)
    (kept,) = (paths.cache / "pulumi" / "argocd").iterdir()
    kept.write_text("[{")
    assert argocd_install.documents(paths, patches) == first


def test_a_patch_that_fits_nothing_is_refused(paths: Paths, patches: Path) -> None:
    (patches / "patch.yaml").write_text(PATCH.replace("unwanted", "renamed-upstream"))
    with pytest.raises(SettingsError, match=r"argocd/install: does not fit install.yaml: .*renamed-upstream"):
        argocd_install.documents(paths, patches)


def test_a_missing_release_is_told(paths: Paths, patches: Path) -> None:
    (paths.bin / "argocd").unlink()
    with pytest.raises(SettingsError, match=r"install.yaml: is missing; scripts/up installs argocd with its manifests"):
        argocd_install.documents(paths, patches)


def test_an_image_without_the_binary_says_where_the_manifest_is(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = tmp_path / "install.yaml"
    given.write_text(UPSTREAM)
    monkeypatch.setenv(argocd_install.MANIFEST, str(given))
    assert argocd_install.upstream_manifest(paths) == given
