"""The stack `local` in a copy of the checkout, against a control plane and a store on loopback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

import host_state
from control_plane.kubernetes import ControlPlane, control_plane
from control_plane.object_store import object_store
from example import EXAMPLE
from mlplatform.plugins import change
from mlplatform.plugins.record import Plugin, Record
from runner_harness.process import tool
from settings import ROOT

# What the program reads; the rest of the checkout is not its business.
PROGRAM = ("Pulumi.yaml", "argocd", "infra", "src")
ROLES = {
    "pulumi": "userplus",
    "data": "user",
    "dvc": "user",
    "release": "user",
    "evaluate": "user",
    "judge": "user",
    "runs": "user",
    "janitor": "user",
    "test-set": "user",
}


@dataclass(frozen=True)
class Stack:
    """`root` is a git checkout; `environment` what `scripts/env local` would give."""

    root: Path
    state: Path
    plane: ControlPlane
    store: str
    environment: dict[str, str]

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run plain `pulumi` from the checkout's root; raises AssertionError with its output when it fails."""
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def prepare(self) -> list[str]:
        """What `scripts/up` does before `pulumi up`; the lines it reports."""
        program = (
            "import json, settings, stack; paths = settings.Paths.from_environment(); lines = [];"
            "env = stack.prepare(settings.load_local('local'), paths, lines.append);"
            "print(json.dumps([lines, env]))"
        )
        done = subprocess.run([sys.executable, "-c", program], env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines, environment = json.loads(done.stdout)
        self.environment.update(environment)
        return list(lines)

    def settle(self, plugins: Iterable[Plugin]) -> tuple[bool, list[str]]:
        """Change over to plugins, as `scripts/up` does between `prepare` and `pulumi up`; whether anything changed, and
        what was said.
        """
        said: list[str] = []
        recorded = replace(self, environment={**self.environment, **change.RECORDING})
        record = Record(self.environment, self.root)
        return change.settle(record, plugins, lambda words: recorded.pulumi(*words), said.append), said

    def exported(self) -> dict[str, Any]:
        """The state as the backend keeps it, by `pulumi stack export`."""
        return dict(json.loads(self.pulumi("stack", "export").stdout)["deployment"])


@contextmanager
def local_stack(work: Path) -> Iterator[Stack]:
    """A stack that nothing was applied to yet; its services run until the block ends."""
    state, root = work / "state", work / "checkout"
    host_state.write(state)
    users = {name: (host_state.secret(f"s3-{name}-secret-key"), role) for name, role in ROLES.items()}
    with control_plane(work / "kubernetes") as plane, object_store(work / "object-store", users) as store:
        shutil.copyfile(plane.kubeconfig, state / "kubernetes" / "admin.conf")
        checkout(root, {"local": {"objectStore": {"endpoint": store}}})
        environment = {
            "HOME": str(work),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{root / 'infra'}{os.pathsep}{root / 'src'}",
            "ML_PLATFORM_STATE_DIR": str(state),
            "ML_PLATFORM_CACHE_DIR": str(cache(work / "cache")),
        }
        stack = Stack(root, state, plane, store, environment)
        stack.prepare()
        yield stack


def checkout(root: Path, changes: Mapping[str, dict[str, Any]]) -> None:
    """A git repository with the program and the example's clusters; `changes` are merged into their files."""
    root.mkdir(parents=True)
    shutil.copytree(EXAMPLE / "clusters", root / "clusters")
    for name in PROGRAM:
        source = ROOT / name
        if source.is_file():
            shutil.copyfile(source, root / name)
        else:
            ignored = shutil.ignore_patterns("__pycache__", "ansible", "images", "toolchain")
            shutil.copytree(source, root / name, ignore=ignored)
    shutil.copyfile(ROOT / ".gitignore", root / ".gitignore")
    for cluster, changed in changes.items():
        path = root / "clusters" / cluster / "cluster.yaml"
        path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), changed)))
    git = ["git", "-C", str(root), "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "test"]):
        subprocess.run([*git, *arguments], check=True)


def _merged(old: Any, new: Any) -> Any:
    """`new` laid over `old`: mappings key by key, where None takes a key away."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    both = old | {key: _merged(old.get(key), value) for key, value in new.items()}
    return {key: value for key, value in both.items() if value is not None}


def cache(folder: Path) -> Path:
    """A cache of its own with the real tools, so that plugins are installed into it and not beside the real ones."""
    (folder / "bin").mkdir(parents=True)
    (folder / "runner").mkdir()
    for name in ("argocd", "kustomize"):
        (folder / "bin" / name).symlink_to(Path(tool(name)).resolve())
    binary = folder / "tools" / "pulumi" / "pulumi"
    binary.parent.mkdir(parents=True)
    try:
        os.link(Path(tool("pulumi")).resolve(), binary)
    except OSError:  # another file system
        shutil.copy(Path(tool("pulumi")).resolve(), binary)
    (folder / "bin" / "pulumi").symlink_to(binary)
    return folder
