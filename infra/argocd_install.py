"""Argo CD's manifests: upstream's install.yaml of the pinned release with the patches of `argocd/install`.

The upstream file (33,000 lines, mostly schemas) comes with the tool and is not copied into this repository. Building it
takes seconds, so the result is kept in the cache under the hash of everything it was made from.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from settings import ROOT, Paths, SettingsError

PATCHES = ROOT / "argocd" / "install"
MANIFEST = "ML_PLATFORM_ARGOCD_MANIFEST"
Document = dict[str, Any]


def documents(paths: Paths, patches: Path = PATCHES) -> list[Document]:
    """The objects to apply, in kustomize's order. Raises SettingsError: a tool is missing, a patch fits nothing."""
    upstream = upstream_manifest(paths)
    sources = [upstream, *sorted(path for path in patches.iterdir() if path.is_file())]
    cached = paths.cache / "pulumi" / "argocd" / f"{_digest(sources)}.json"
    try:
        kept: list[Document] = json.loads(cached.read_bytes())
        return kept
    except (OSError, ValueError):
        pass
    rendered = [item for item in yaml.load_all(_build(paths, upstream, patches), Loader=_loader()) if item]
    _keep(cached, rendered)
    return rendered


def upstream_manifest(paths: Paths) -> Path:
    """The install.yaml beside the argocd binary in use, or where an image without that has it. Raises SettingsError."""
    if given := os.environ.get(MANIFEST):
        return Path(given)
    path = (paths.bin / "argocd").resolve().parent / "manifests" / "install.yaml"
    if not path.is_file():
        raise SettingsError(f"{path}: is missing; scripts/up installs argocd with its manifests")
    return path


def _build(paths: Paths, upstream: Path, patches: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="argocd-install-") as folder:
        # kustomize reads files of its own folder only, and takes other folders by relative path.
        Path(folder, "install.yaml").write_bytes(upstream.read_bytes())
        kustomization = {
            "resources": ["install.yaml"],
            "components": [os.path.relpath(patches, Path(folder).resolve())],
        }
        Path(folder, "kustomization.yaml").write_text(json.dumps(kustomization), encoding="utf-8")
        places = os.pathsep.join([str(paths.bin), os.environ.get("PATH", os.defpath)])
        command = [shutil.which("kustomize", path=places) or str(paths.bin / "kustomize"), "build", folder]
        try:
            built = subprocess.run(command, capture_output=True)
        except OSError as error:
            raise SettingsError(f"{command[0]}: cannot be run ({error.strerror}); scripts/up installs it") from None
    if built.returncode:
        raise SettingsError(f"argocd/install: does not fit {upstream.name}: {built.stderr.decode().strip()}")
    return built.stdout


def _digest(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _keep(path: Path, rendered: list[Document]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(rendered), encoding="utf-8")
    partial.replace(path)


def _loader() -> Any:
    # The C loader, where PyYAML has it, reads these files in a tenth of the time.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
