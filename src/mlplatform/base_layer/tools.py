"""Programs that the repository's own checks run: `scripts/up` copies them into the base layer, jobs use them in place.

Nobody but the host can make them within a job's time. A set is named by its content, and the newest one counts.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlplatform.base_layer import manifest
from mlplatform.base_layer.folders import BaseLayerError, Folders, freeze, say

# What scripts/check and the tests of the tiers `render` and `policy` start.
PROGRAMS = ("actionlint", "argocd", "etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "kustomize")
# What a program is used with, from its own folder.
BESIDE = {"argocd": ("manifests/install.yaml",)}


def sources(binaries: Path) -> dict[str, str]:
    """What a set is made of: where each of its files lies now, for programs that are linked in one folder."""
    found = {}
    for name in PROGRAMS:
        program = (binaries / name).resolve()
        found[f"{name}/{name}"] = str(program)
        found |= {f"{name}/{beside}": str(program.parent / beside) for beside in BESIDE.get(name, ())}
    return found


class Tools(Folders):
    """The sets of programs in the base layer."""

    def take(self, files: Mapping[str, str]) -> str:
        """Have a set of these files, each by its place in the set, as the newest one; returns its name.

        Raises BaseLayerError where a file is missing or a place lies outside of the set.
        """
        for place, path in files.items():
            if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
                raise BaseLayerError(f"{place} is no place in a set of tools")
            if not os.access(path, os.R_OK):
                raise BaseLayerError(f"{path} cannot be read: scripts/up makes the tools, for all users of the host")
        hashes = {place: _sha256(Path(path)) for place, path in sorted(files.items())}
        name = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:12]
        with self.alone():
            if self.find(name):
                os.utime(self.manifest(name))
                return name
            say("copying the tools of checks")
            for place, path in files.items():
                (self.root / name / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, self.root / name / place)
            if manifest.of(self.root / name) != hashes:
                raise BaseLayerError("a tool changed while it was copied: run scripts/up again")
            freeze(self.root / name)
            # A machine that loses power must not remember the manifest and forget the files.
            os.sync()
            manifest.write(self.manifest(name), hashes)
        return name

    def newest(self) -> Path | None:
        """The set that counts; there may be none."""
        return next((self.root / name for name in self.names()), None)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
