"""What a job's pod gets of the one volume that outlives it: the base layer, which only trusted jobs may write.

The controller mounts it, whatever the pool's template says: nothing that one job wrote reaches the next one but by this
layer. All else below /cache is an empty folder of the pod's own.
"""

from collections.abc import Mapping, Sequence
from posixpath import normpath
from typing import Any

FOLDER = "/cache"
# The layer's folder on the volume and below /cache.
BASE = "base"
# Room for an environment of its own, of a branch that changes a lock (6 GiB), where the template says nothing else.
SIZE = "10Gi"

# Kinds of volumes that begin with the pod, or that no pod can write to.
_OF_THE_POD = frozenset({"configMap", "downwardAPI", "emptyDir", "ephemeral", "image", "projected", "secret"})
_CLAIM = "persistentVolumeClaim"


def problem(spec: Mapping[str, Any]) -> str:
    """Why a template's volumes cannot be used, or nothing: beside the pod's own they may hold one claim, the cache."""
    volumes = spec.get("volumes") or []
    for volume in volumes:
        kinds = set(volume) - {"name"}
        if kinds - _OF_THE_POD - {_CLAIM}:
            return (
                f"volume {volume['name']!r} ({', '.join(sorted(kinds))}) outlives its pod, so that one job's files "
                f"would reach the next: use {', '.join(sorted(_OF_THE_POD))}, or one {_CLAIM} as the jobs' cache"
            )
    claims = [volume["name"] for volume in volumes if _CLAIM in volume]
    if len(claims) > 1:
        return f"the volumes {', '.join(claims)} are claims; one is allowed, the jobs' cache"
    return ""


def isolate(spec: dict[str, Any], *, trusted: bool) -> None:
    """Change a pod's spec so that its job has the base layer at /cache/base, writable if trusted, and nothing else that
    another pod can write. `problem` must have found nothing."""
    volumes: list[dict[str, Any]] = spec.setdefault("volumes", [])
    claims = [volume for volume in volumes if _CLAIM in volume]
    dropped = {volume["name"] for volume in claims}
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        container.pop("volumeDevices", None)
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [mount for mount in mounts if mount["name"] not in dropped]
    volumes[:] = [volume for volume in volumes if volume not in claims]
    [job] = spec["containers"]
    _add_folder(job, volumes)
    base = f"{FOLDER}/{BASE}"
    job["volumeMounts"] = [mount for mount in job["volumeMounts"] if normpath(mount["mountPath"]) != base]
    for claim in claims:
        name = _unused(BASE, volumes)
        volumes.append({"name": name, _CLAIM: {"claimName": claim[_CLAIM]["claimName"]}})
        job["volumeMounts"].append({"name": name, "mountPath": base, "subPath": BASE, "readOnly": not trusted})


def _add_folder(job: dict[str, Any], volumes: list[dict[str, Any]]) -> None:
    """Have an empty folder of a bounded size at /cache: the template's, or one of ours."""
    own = {volume["name"]: volume for volume in volumes if "emptyDir" in volume}
    [*found] = (mount for mount in job["volumeMounts"] if normpath(mount["mountPath"]) == FOLDER)
    if found and found[0]["name"] in own:
        folder = own[found[0]["name"]]
        folder["emptyDir"] = {"sizeLimit": SIZE, **(folder["emptyDir"] or {})}
        return
    job["volumeMounts"] = [mount for mount in job["volumeMounts"] if mount not in found]
    name = _unused("cache", volumes)
    volumes.append({"name": name, "emptyDir": {"sizeLimit": SIZE}})
    job["volumeMounts"].append({"name": name, "mountPath": FOLDER})


def _unused(name: str, volumes: Sequence[Mapping[str, Any]]) -> str:
    taken = {volume["name"] for volume in volumes}
    while name in taken:
        name += "-job"
    return name
