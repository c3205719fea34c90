"""What is read of overlays is what kustomize makes of them."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci import manifests
from mlplatform.releases import DIGEST
from runner_harness.process import tool
from settings import ROOT

A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: %s}]}\n"
PATCH = f"""apiVersion: v1
kind: Pod
metadata: {{name: base}}
spec:
  initContainers: [{{name: i, image: 'x:8@{C}'}}]
"""
OVERLAY = f"""apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../base, ./own.yaml]
images:
  - {{name: app, digest: {A}}}
  - {{name: quay.io/brand/cache, newName: registry.test/cache, digest: "\\x73{B[1:]}"}}
patches:
  - path: patch.yaml
  - target: {{kind: Pod, name: own}}
    patch: |
      - op: add
        path: /spec/initContainers
        value: [{{name: i, image: app}}]
labels: [{{pairs: {{a: b}}, includeTemplates: true}}]
commonLabels: {{c: d}}
commonAnnotations: {{e: f}}
configMapGenerator: [{{name: settings, files: [settings.ini]}}]
generatorOptions: {{disableNameSuffixHash: true}}
namePrefix: x-
nameSuffix: -y
replicas: []
"""
FILES = {
    "base/kustomization.yaml": "resources: [pod.yaml]\n",
    "base/pod.yaml": POD % ("base", "app"),
    "overlays/dev/kustomization.yaml": OVERLAY,
    "overlays/dev/own.yaml": POD % ("own", "quay.io/brand/cache"),
    "overlays/dev/patch.yaml": PATCH,
    "overlays/dev/settings.ini": "a = b\n",
    "overlays/dev/README.md": "Read me.\n",
}


@dataclass(frozen=True)
class Folder:
    """A tree on a disk."""

    root: Path

    def read(self, path: str) -> bytes | None:
        return (self.root / path).read_bytes() if (self.root / path).is_file() else None

    def files(self, folder: str) -> list[str]:
        found = (path for path in (self.root / folder).rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "apps/app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.tools
def test_s20_kustomize_deploys_the_images_that_are_read_and_no_others(app: Path) -> None:
    content = manifests.read(Folder(app), "app", "dev")
    command = [tool("kustomize"), "build", str(app / "apps/app/overlays/dev")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    images = re.findall(r"image: (\S+)", built.stdout)
    assert sorted(images) == sorted([f"app@{A}", f"app@{A}", f"registry.test/cache@{B}", f"x:8@{C}"])
    deployed = frozenset({("app", A), ("registry.test/cache", B), ("x:8", C)})
    assert content == manifests.Content({"app": A, "quay.io/brand/cache": B}, deployed)
    assert set(DIGEST.findall(built.stdout)) == content.digests
    used = set(re.findall(r"^(\w+):", OVERLAY, re.MULTILINE))
    assert used == set(manifests.KEYS), "each key that is read is tried here"


def test_the_digests_are_known_where_the_rest_is_not_understood(app: Path) -> None:
    path = app / "apps/app/overlays/dev/kustomization.yaml"
    path.write_text(f"{OVERLAY}components: [../../x]\n")
    content = manifests.read(Folder(app), "app", "dev")
    assert content.pinned == {"app": A, "quay.io/brand/cache": B}
    assert content.problem.startswith("apps/app/overlays/dev/kustomization.yaml: components: not read here")


def test_a_base_names_images_that_an_overlay_has_to_pin(app: Path) -> None:
    pods = "".join(f"---\n{POD % ('p', image)}" for image in ("app", "x:8", f"y@{D}", "quay.io/z", "host:5000/z"))
    (app / "apps/app/base/pod.yaml").write_text(pods)
    (app / "apps/app/base/broken.yaml").write_text("[")
    assert manifests.names_in_base(Folder(app), "app") == {"app", "quay.io/z", "host:5000/z"}


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("apps/*/overlays/*")), ids=lambda path: f"{path.parts[-3]}-{path.name}"
)
def test_every_overlay_of_this_repository_is_understood(path: Path) -> None:
    assert manifests.read(Folder(ROOT), path.parts[-3], path.name).problem == ""
