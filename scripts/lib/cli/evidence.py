"""Keep the evidence of a failure: logs of services and pods, and the state of the cluster's objects."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from cli.failure import Failure
from cli.kube import Kubectl
from settings import ROOT, Paths

_DEFAULT = ".artifacts"
# Says that the folder held nothing before the first run wrote to it.
_MARKER = ".ml-platform-artifacts"
_OBJECTS = "nodes,pods,deployments,services,jobs,persistentvolumeclaims"


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where it is kept: ML_PLATFORM_ARTIFACTS, or `.artifacts` in the checkout, which git ignores."""
    return Path(environment.get("ML_PLATFORM_ARTIFACTS") or ROOT / _DEFAULT)


def clear(target: Path) -> None:
    """Make the folder, and empty it where everything in it is of earlier runs; whatever else lies there stays."""
    marker = target / _MARKER
    if marker.is_file() or target == ROOT / _DEFAULT:
        shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, exist_ok=True)
    if not any(target.iterdir()):
        marker.write_text("Results of scripts/test of the ML platform; the next run empties this folder.\n")


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
