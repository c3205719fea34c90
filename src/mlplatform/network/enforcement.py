"""Whether NetworkPolicies hold on this host: read from the kernel's rules, not from what a process says of itself."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Where kube-router tells how often it has put the rules in place.
METRICS_PORT = 20241
METRICS_URL = f"http://127.0.0.1:{METRICS_PORT}/metrics"
_SYNCS = re.compile(r"^kube_router_controller_iptables_sync_time_count (\S+)$", re.MULTILINE)

# What the host's own firewall must hold (roles/node_address), by table: the jumps that make its chains count.
HOST_RULES = {
    "raw": ("-A PREROUTING -j ML-PLATFORM",),
    "mangle": ("-A OUTPUT -j ML-PLATFORM-USERS",),
    "security": ("-A FORWARD -j ML-PLATFORM-PODS", "-A INPUT -j ML-PLATFORM-HOST"),
}
_TABLE = re.compile(r"^\*(\w+)\n(.*?)^COMMIT$", re.MULTILINE | re.DOTALL)
# A pod that has just got its address is cut off until the engine has seen it; that is no fault.
GRACE_SECONDS = 30


@dataclass(frozen=True)
class Pod:
    """A pod that is under policies."""

    name: str
    address: str


def synced(metrics: str) -> bool:
    """Whether the engine has put its rules in place since it started."""
    found = _SYNCS.search(metrics)
    return bool(found and float(found[1]) >= 1)


def tables(saved: str) -> dict[str, set[str]]:
    """The rules of each table in what `iptables-save` printed."""
    return {
        name: {line for line in body.splitlines() if line.startswith("-A ")} for name, body in _TABLE.findall(saved)
    }


def pods(items: Iterable[Mapping[str, Any]], now: datetime) -> list[Pod]:
    """Those of the cluster's pods that have an address of their own and a container that has run for long enough.

    A pod is older than that when its node has been started again, and its address is then new.
    """
    found = []
    for item in items:
        status = item.get("status", {})
        containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        began = [one["state"]["running"]["startedAt"] for one in containers if "running" in one.get("state", {})]
        if not status.get("podIP") or "deletionTimestamp" in item["metadata"] or item["spec"].get("hostNetwork"):
            continue
        if any((now - datetime.fromisoformat(one)).total_seconds() > GRACE_SECONDS for one in began):
            found.append(Pod(f"{item['metadata']['namespace']}/{item['metadata']['name']}", status["podIP"]))
    return found


def problems(saved: str, running: Iterable[Pod], denied: Iterable[str], namespaces: Iterable[str]) -> list[str]:
    """What keeps policies from holding; nothing when they do.

    `saved`: what `iptables-save` printed. `denied`: the namespaces with a default deny; `namespaces`: those that need
    one.
    """
    present = tables(saved)
    found = [
        f"the host's firewall lacks {rule!r} in its table {table}"
        for table, rules in HOST_RULES.items()
        for rule in rules
        if rule not in present.get(table, set())
    ]
    forward = {line for line in present.get("filter", set()) if line.startswith("-A KUBE-ROUTER-FORWARD ")}
    for pod in running:
        if not any(f"-s {pod.address}/32 " in line for line in forward):
            found.append(f"no rules for the pod {pod.name} ({pod.address})")
    found += [f"namespace {name} has no default deny" for name in sorted(set(namespaces) - set(denied))]
    return found
