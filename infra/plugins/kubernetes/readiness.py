"""When an applied object counts as ready, and why it does not."""

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]


def waiting_for(live: Object) -> str | None:
    """What the object still lacks, or None when it is ready. Kinds without an entry are ready at once."""
    check = CHECKS.get(live["kind"])
    return check(live) if check else None


def _condition(live: Object, kind: str) -> dict[str, Any]:
    conditions = live.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind), {})


def _observed(live: Object) -> bool:
    return bool(live.get("status", {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


def _deployment(live: Object) -> str | None:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if _observed(live) and updated >= wanted and available >= wanted and status.get("replicas", 0) <= wanted:
        return None
    reason = _condition(live, "Progressing").get("message") or _condition(live, "Available").get("message") or ""
    return f"{available} of {wanted} replicas are available, {updated} updated. {reason}".strip()


def _stateful_set(live: Object) -> str | None:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    settled = status.get("currentRevision") == status.get("updateRevision")
    if _observed(live) and ready >= wanted and settled:
        return None
    return f"{ready} of {wanted} replicas are ready"


def _definition(live: Object) -> str | None:
    if _condition(live, "Established").get("status") == "True":
        return None
    return _condition(live, "NamesAccepted").get("message") or "the API server has not established it yet"


def _namespace(live: Object) -> str | None:
    phase = live.get("status", {}).get("phase")
    return None if phase == "Active" else f"its phase is {phase}"


def _daemon_set(live: Object) -> str | None:
    """Ready on every node that it is for, of which there may be none."""
    status = live.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if _observed(live) and updated >= wanted and available >= wanted:
        return None
    return f"it is available on {available} of {wanted} nodes, {updated} updated"


CHECKS: dict[str, Callable[[Object], str | None]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Namespace": _namespace,
    "StatefulSet": _stateful_set,
}
