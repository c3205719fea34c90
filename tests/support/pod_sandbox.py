"""Runs the job container of a Pod on this machine: its own file system, mounts and processes, without a cluster.

Volumes are what a kubelet makes of them: an emptyDir begins empty, a claim is the same folder for every pod, a missing
folder of a subPath is made, a read-only mount is one for the kernel. Of the image there is only this machine's Python.
"""

import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SYSTEM = ("usr", "bin", "lib", "lib64", "etc")


@dataclass(frozen=True)
class Node:
    """`claim`: the folder behind the namespace's one claim. `config_maps`: files by ConfigMap. `programs`: what the
    image has on PATH. `environment`: what Secrets add to the variables."""

    claim: Path
    config_maps: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    programs: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, spec: dict[str, Any], trust: str, script: str) -> str:
        """Run a Python script as the job of a pod with this spec and trust label; its output. The pod is gone then."""
        done = self.run_command(spec, trust, ["python3", "-c", script])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_command(
        self, spec: dict[str, Any], trust: str, command: Sequence[str], timeout: float = 300
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command as the job."""
        with self._folders(spec) as own:
            [job] = spec["containers"]
            variables = {**self.environment, **{one["name"]: one.get("value", trust) for one in job.get("env", [])}}
            lines = [*_ROOT, *self._mounts(spec, job, own, trust), "mkdir -p dev/shm && mount -t tmpfs none dev/shm"]
            for program in self.programs:
                lines.append(f"touch opt/{program.name} && mount --bind {shlex.quote(str(program))} opt/{program.name}")
            setpriv = "/usr/bin/setpriv --no-new-privs --bounding-set=-all --inh-caps=-all"
            words = ["env", "-i", "PATH=/opt:/usr/bin:/bin", *(f"{name}={value}" for name, value in variables.items())]
            lines.append(f"exec chroot . {setpriv} {shlex.join([*words, *command])}")
            inner = "set -eu\n" + "\n".join(lines)
            return subprocess.run(
                [
                    "unshare",
                    "--user",
                    "--map-root-user",
                    "--mount",
                    "--pid",
                    "--fork",
                    "--kill-child",
                    "bash",
                    "-c",
                    inner,
                ],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(own["/"])},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )

    @contextmanager
    def _folders(self, spec: dict[str, Any]) -> Iterator[dict[str, Path]]:
        """A pod's own folders by volume, and its root."""
        with tempfile.TemporaryDirectory(prefix="ml-platform-pod-") as folder:
            made = {"/": Path(folder, "root")}
            for volume in spec["volumes"]:
                files = self.config_maps.get((volume.get("configMap") or {}).get("name", ""))
                if "emptyDir" in volume or files is not None:
                    made[volume["name"]] = Path(folder, "volumes", volume["name"])
                for name, content in (files or {}).items():
                    made[volume["name"]].mkdir(parents=True, exist_ok=True)
                    (made[volume["name"]] / name).write_bytes(content)
            for path in made.values():
                path.mkdir(parents=True, exist_ok=True)
            yield made

    def _mounts(self, spec: dict[str, Any], job: dict[str, Any], own: dict[str, Path], trust: str) -> Iterator[str]:
        claims = {volume["name"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume}
        for mount in sorted(job["volumeMounts"], key=lambda one: one["mountPath"].rstrip("/").count("/")):
            source = self.claim if mount["name"] in claims else own.get(mount["name"])
            if source is None:
                continue  # Secrets and the like, which nobody writes to
            path = mount.get("subPath") or mount.get("subPathExpr", "").replace("$(TRUST)", trust)
            folder = source / path
            folder.mkdir(parents=True, exist_ok=True)
            target = shlex.quote(mount["mountPath"].strip("/"))
            yield f"mkdir -p {target} && mount --bind {shlex.quote(str(folder))} {target}"
            if mount.get("readOnly"):
                yield f"mount -o remount,bind,ro {target}"


_ROOT = (
    "mount --make-rprivate /",
    'mount -t tmpfs none "$ROOT"',
    'cd "$ROOT"',
    f"for name in {' '.join(_SYSTEM)}; do",
    '  if [ -L "/$name" ]; then cp -P "/$name" .; elif [ -d "/$name" ]; then',
    '    mkdir "$name" && mount --rbind "/$name" "$name"; fi',
    "done",
    "mkdir -p proc dev opt && mount -t proc none proc",
    "for name in null zero urandom; do touch dev/$name && mount --bind /dev/$name dev/$name; done",
)
