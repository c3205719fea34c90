"""Refuses an update that would delete a bucket: one that the state has under a name that the cluster's file lacks."""

import json
from typing import Any

from settings import PROJECT, LocalCluster, Paths, SettingsError

_BUCKET = "aws:s3/bucket:Bucket"
# The key of `objectStore` that names each bucket, by the end of its resource's name.
_KEYS = {"data": "dataBucket", "models": "modelsBucket"}


def check(cluster: LocalCluster, paths: Paths) -> None:
    """Raise SettingsError where the stack has a bucket that the cluster's file calls otherwise.

    A bucket's name cannot change, so the engine would make an empty one and delete the old with every version in it.
    """
    wanted = {"data": cluster.object_store.data_bucket, "models": cluster.object_store.models_bucket}
    for resource in _resources(cluster, paths):
        role = str(resource.get("urn", "")).rpartition("-")[2]
        there = str((resource.get("inputs") or {}).get("bucket", ""))
        if resource.get("type") == _BUCKET and role in wanted and there and there != wanted[role]:
            raise SettingsError(
                f"clusters/{cluster.name}/cluster.yaml: objectStore.{_KEYS[role]}: is {wanted[role]!r}, but the data"
                f" is in the bucket {there!r}, which would be deleted with every version in it; nothing was changed."
                f" Write {there!r} again, or move the data first: docs/runbooks/rename-a-bucket.md"
            )


def _resources(cluster: LocalCluster, paths: Paths) -> list[dict[str, Any]]:
    """What the stack's state has; nothing where there is none that can be read (`stack.prepare` says so then)."""
    path = paths.pulumi / ".pulumi" / "stacks" / PROJECT / f"{cluster.name}.json"
    try:
        return list(json.loads(path.read_bytes())["checkpoint"]["latest"]["resources"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
