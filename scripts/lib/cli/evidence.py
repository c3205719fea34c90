"""Keep the evidence of a failure: logs of services and pods, and the state of the cluster's objects."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from cli.failure import Failure
from cli.kube import Kubectl
from settings import ROOT, Paths

_DEFAULT = ".artifacts"
# Says that the folder held nothing before the first run wrote to it.
_MARKER = ".ml-platform-artifacts"
TOOLS = "tools.log"
UP = "up"
# What a run leaves in the folder, by name: these files, and folders of what `collect` writes.
_FILES = re.compile(rf"{re.escape(TOOLS)}|[a-z]+(?:\+[a-z]+)*-dev(?:-ml)?\.xml")
_FOLDERS = re.compile(rf"{UP}|tests-.+")
_COLLECTED = ("logs", "events.txt", "objects.txt", "applications.yaml", "pods.txt", "pods")
_OBJECTS = "nodes,pods,deployments,services,jobs,persistentvolumeclaims"


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where it is kept: ML_PLATFORM_ARTIFACTS, or `.artifacts` in the checkout, which git ignores."""
    return Path(environment.get("ML_PLATFORM_ARTIFACTS") or ROOT / _DEFAULT)


def report(tiers: str, group: str) -> str:
    """The name of pytest's report on tests of `tiers` in an environment."""
    return f"{tiers}-{group}.xml"


def of_test(identifier: str) -> str:
    """The name of the folder with what is kept of a failed test of the platform."""
    return re.sub(r"[^\w.-]+", "-", identifier)


def clear(target: Path) -> list[Path]:
    """Make the folder and delete what an earlier run left in it; returns what else lies there, which stays.

    Where something lay in the folder before the first run, nothing shows whose the rest is: all of it stays.
    """
    marker = target / _MARKER
    if marker.is_file() or target == ROOT / _DEFAULT:
        for path in _entries(target):
            if path.is_symlink() or path.name == _MARKER:
                continue
            if path.is_file() and _FILES.fullmatch(path.name):
                path.unlink()
            elif path.is_dir() and _FOLDERS.fullmatch(path.name):
                _clear_collected(path)
    target.mkdir(parents=True, exist_ok=True)
    left = [path for path in _entries(target) if path != marker]
    if not left:
        marker.write_text("Results of scripts/test of the ML platform; the next run deletes them.\n")
    return left


def _clear_collected(folder: Path) -> None:
    """Delete what `collect` wrote, and the folder unless it holds something else."""
    for name in _COLLECTED:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not _entries(folder):
        folder.rmdir()


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def collect(paths: Paths, target: Path) -> None:
    """Write all there is to `target`; what cannot be had is left out, since this runs when things are broken."""
    target.mkdir(parents=True, exist_ok=True)
    logs = paths.state / "logs"
    if logs.is_dir():
        shutil.copytree(logs, target / "logs", dirs_exist_ok=True, ignore_dangling_symlinks=True)
    kubectl = Kubectl(paths)
    if not kubectl.ready():
        return
    _write(target / "events.txt", kubectl, "get", "events", "-A", "--sort-by=.lastTimestamp")
    _write(target / "objects.txt", kubectl, "get", _OBJECTS, "-A", "-o", "wide")
    _write(target / "applications.yaml", kubectl, "get", "applications.argoproj.io", "-A", "-o", "yaml")
    _write(target / "pods.txt", kubectl, "describe", "pods", "-A")
    for pod in _pods(kubectl):
        namespace, name = pod
        arguments = ("logs", "-n", namespace, name, "--all-containers", "--prefix", "--tail=2000")
        _write(target / "pods" / f"{namespace}-{name}.log", kubectl, *arguments)
        _write(target / "pods" / f"{namespace}-{name}.previous.log", kubectl, *arguments, "--previous")


def _pods(kubectl: Kubectl) -> list[tuple[str, str]]:
    try:
        return [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in kubectl.items("pods", "-A")]
    except Failure:
        return []


def _write(path: Path, kubectl: Kubectl, *arguments: str) -> None:
    try:
        text = kubectl.run(*arguments)
    except Failure:
        return
    if text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
