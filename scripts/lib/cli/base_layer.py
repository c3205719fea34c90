"""Makes the environments of jobs before the first one needs them, in a pod as the runner controller would build it."""

import base64
import copy
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cli import git
from cli.failure import Failure
from cli.kube import Kubectl
from cli.steps import Context
from mlplatform.base_layer import tools
from mlplatform.base_layer.environments import GROUPS, key_of
from runner_controller import cache
from settings import DOMAIN, ROOT, LocalCluster, Paths

NAME = "base-layer"
NAMESPACE = "runner-controller"
# The claim's folders of an earlier version, which held what jobs of one class left to each other.
FORMER = ("trusted", "untrusted")
_HOST_ENVIRONMENT = "host-environment"
_FOLDER = "/var/run/ml-platform/base-layer"
_LOCKS, _MAKER = "locks.tar.gz", "maker.tar.gz"
_SCRIPT = f"""\
mkdir /tmp/main
tar -xzf {_FOLDER}/{_LOCKS} -C /tmp/main
tar -xzf {_FOLDER}/{_MAKER} -C /tmp/main
PYTHONPATH=/tmp/main/src exec "${{UV_PYTHON:-python3}}" -S -m mlplatform.base_layer make /tmp/main
"""
# With a slow package index; less than the pod's own limit, which ends what a killed scripts/up left behind.
_SECONDS = 3600
_POD_SECONDS = 3900
_TEMPLATE_SECONDS = 600


def locks_of(repository: git.Repository, revision: str, folder: Path) -> bytes:
    """The locks at a commit, as an archive, of those groups that it has: main may be older than this checkout.

    Raises Failure where it has none.
    """
    path = folder / _LOCKS
    names = [f"requirements/{group}.txt" for group in GROUPS]
    found = repository.git("ls-tree", "--name-only", revision, "--", *names).splitlines()
    if not found:
        raise Failure(
            f"{revision} has no lock of a group of jobs, none of {', '.join(names)}",
            "scripts/lock makes them: commit them",
        )
    repository.git("archive", "--format=tar.gz", f"--output={path}", revision, *found)
    return path.read_bytes()


def maker() -> bytes:
    """The program that makes environments, as an archive: the checkout's, because main may be older."""
    package = ROOT / "src" / "mlplatform"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path in (package / "__init__.py", *sorted((package / "base_layer").glob("*.py"))):
            archive.add(path, arcname=path.relative_to(ROOT).as_posix())
    return stream.getvalue()


def missing(locks: bytes, layer: Path) -> list[str]:
    """The groups for whose lock there is no environment in the base layer on this host, for any Python."""
    with tarfile.open(fileobj=io.BytesIO(locks)) as archive:
        files = {Path(member.name).stem: archive.extractfile(member) for member in archive if member.isfile()}
        keys = {group: key_of(file.read()) for group, file in files.items() if file}
    return [group for group, key in keys.items() if not any((layer / "environments").glob(f"{group}-{key}-*.json"))]


def documents(template: Mapping[str, Any], locks: bytes) -> list[dict[str, Any]]:
    """The ConfigMap with what is to be made and how, and the Pod that makes it, of a pool's PodTemplate.

    The Pod may write to the base layer, like a job of main; unlike one it has no token, no checkout, and of all Secrets
    the host's network settings alone.
    """
    metadata = template["template"].get("metadata") or {}
    spec = copy.deepcopy(dict(template["template"]["spec"]))
    cache.isolate(spec, trusted=True)
    del spec["initContainers"]
    [job] = spec["containers"]
    secrets = {volume["name"] for volume in spec["volumes"] if "secret" in volume or "projected" in volume}
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in secrets]
    job["volumeMounts"] = [mount for mount in job["volumeMounts"] if mount["name"] not in secrets]
    job["envFrom"] = [{"secretRef": {"name": _HOST_ENVIRONMENT, "optional": True}}]
    job["env"] = [entry for entry in job.get("env", []) if "secretKeyRef" not in (entry.get("valueFrom") or {})]
    job["command"] = ["bash", "-euc", _SCRIPT]
    spec["volumes"].append({"name": NAME, "configMap": {"name": NAME}})
    job["volumeMounts"].append({"name": NAME, "mountPath": _FOLDER, "readOnly": True})
    spec |= {"restartPolicy": "Never", "activeDeadlineSeconds": _POD_SECONDS}
    labels = {
        **(metadata.get("labels") or {}),
        # The network policy of jobs holds for it; the controller does not take it for one of its own.
        "app.kubernetes.io/component": "job",
        "app.kubernetes.io/managed-by": "scripts-up",
        f"{DOMAIN}/trust": "trusted",
    }
    named = {"name": NAME, "namespace": NAMESPACE}
    data = {_LOCKS: base64.b64encode(locks).decode(), _MAKER: base64.b64encode(maker()).decode()}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "binaryData": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**named, "labels": labels}, "spec": spec},
    ]


def make(context: Context, cluster: LocalCluster, paths: Paths, locks: bytes) -> str:
    """Make what is missing of the environments that `locks` name; returns a note. Raises Failure with the pod's log."""
    layer = paths.cache / "runner" / cache.BASE
    wanted = missing(locks, layer)
    kubectl = Kubectl(paths)
    # Those of a run that was killed.
    _delete(kubectl)
    if not wanted:
        forget_former(kubectl, layer.parent, context)
        return "nothing to make"
    template = _template(context, kubectl, cluster.runners.pools[0])
    try:
        for document in documents(template, locks):
            # Not `apply`: it would keep a copy of all in an annotation, which is too large for one.
            kubectl.run("create", "--filename=-", text=json.dumps(document))
        _follow(context, kubectl)
    finally:
        _delete(kubectl)
    forget_former(kubectl, layer.parent, context)
    return f"made {', '.join(wanted)}"


def give_tools(paths: Paths) -> str:
    """Copy the tools of the repository's own checks into the base layer; returns why that failed, or "".

    Jobs of main may write there, so this is done with no more rights than they have: nothing of theirs leads elsewhere.
    """
    volume = paths.cache / "runner"
    try:
        owner = (volume / cache.BASE).lstat()
    except FileNotFoundError:
        return "there is no base layer yet"
    account = [f"{owner.st_uid}:{owner.st_gid}"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [sys.executable, "-S", "-m", "mlplatform.base_layer", "tools", *account],
        input=json.dumps(tools.sources(paths.bin)),
        env={"PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", "CACHE_DIR": str(volume)},
        cwd="/",
        capture_output=True,
        text=True,
    )
    if not done.returncode:
        return ""
    said = done.stderr.splitlines()
    return f"not copied, so jobs that need them fail: {said[-1] if said else f'status {done.returncode}'}"


def forget_former(kubectl: Kubectl, volume: Path, context: Context) -> None:
    """Remove the caches of an earlier version, unless a job still uses them."""
    left = [volume / name for name in FORMER if (volume / name).is_dir()]
    if not left:
        return
    if uses_former(kubectl.items("pods", "--namespace", NAMESPACE)):
        context.say("the caches of an earlier version stay while a job uses them; the next scripts/up removes them")
        return
    for path in left:
        # It follows no link.
        shutil.rmtree(path)
    context.say(f"removed caches of an earlier version: {', '.join(str(path) for path in left)}")


def uses_former(pods: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a pod has mounted a claim otherwise than as the base layer."""
    for pod in pods:
        claims = {volume["name"] for volume in pod["spec"].get("volumes", []) if "persistentVolumeClaim" in volume}
        for container in pod["spec"]["containers"]:
            mounts = container.get("volumeMounts", [])
            if any(mount["name"] in claims and mount.get("subPath") != cache.BASE for mount in mounts):
                return True
    return False


def _template(context: Context, kubectl: Kubectl, pool: str) -> dict[str, Any]:
    """A pool's PodTemplate, which Argo CD makes."""
    found: list[dict[str, Any]] = []

    def waits_for() -> str | None:
        template = kubectl.find("podtemplate", pool, "--namespace", NAMESPACE)
        if template:
            found.append(template)
        return None if template else f"Argo CD has not made the runner pool {pool} yet"

    context.until(
        waits_for,
        seconds=_TEMPLATE_SECONDS,
        otherwise=lambda: Failure(
            f"after {_TEMPLATE_SECONDS // 60} minutes: {context.now}", "scripts/status shows every Application"
        ),
    )
    return found[0]


def _follow(context: Context, kubectl: Kubectl) -> None:
    ended: dict[str, Any] = {}

    def state() -> str | None:
        pod = kubectl.get("pod", NAME, "--namespace", NAMESPACE)
        phase = pod["status"].get("phase", "Pending")
        if phase in ("Succeeded", "Failed"):
            ended.update(pod["status"])
            return None
        return (_log(kubectl, 1) if phase == "Running" else "") or waiting(pod)

    context.until(
        state,
        seconds=_SECONDS,
        otherwise=lambda: Failure(f"not done after {_SECONDS // 60} minutes: {context.now}", "run scripts/up again"),
    )
    log = _log(kubectl)
    context.write(log)
    if ended["phase"] != "Succeeded":
        lines = [*log.splitlines(), ended.get("message", "")]
        tail = tuple(line for line in lines if line)[-20:]
        said = tail[-1] if tail else "its log is empty"
        raise Failure(f"the pod that makes them failed: {said}", "run scripts/up again: it makes what is missing", tail)


def waiting(pod: Mapping[str, Any]) -> str:
    """What a pod that does not run yet waits for."""
    status = pod["status"]
    states = [one["state"].get("waiting") for one in status.get("containerStatuses", [])]
    unmet = [one for one in status.get("conditions", []) if one["type"] == "PodScheduled" and one["status"] != "True"]
    for entry in (*(one for one in states if one), *unmet):
        return f"the pod waits: {entry.get('reason', '')} {entry.get('message', '')}".strip()
    return "the pod starts"


def _log(kubectl: Kubectl, lines: int = -1) -> str:
    """The pod's log, or its last lines; empty where there is none."""
    try:
        return kubectl.run("logs", NAME, "--namespace", NAMESPACE, f"--tail={lines}").strip()
    except Failure:
        return ""


def _delete(kubectl: Kubectl) -> None:
    kubectl.run(
        "delete",
        f"pod/{NAME}",
        f"configmap/{NAME}",
        "--namespace",
        NAMESPACE,
        "--ignore-not-found",
        "--grace-period=5",
        timeout=60,
    )
