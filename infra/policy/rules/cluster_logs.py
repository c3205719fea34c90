"""The control plane keeps all its logs, so that who did what can be told afterwards."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import CLUSTER

KINDS = ("api", "audit", "authenticator", "controllerManager", "scheduler")


def check(cluster: Resource) -> Iterator[Verdict]:
    listed = cluster.list("enabledClusterLogTypes")
    missing = [kind for kind in KINDS if kind not in listed]
    if missing and UNKNOWN in listed:
        yield Undecided(cluster, "enabledClusterLogTypes")
    elif missing:
        yield Finding(cluster, "enabledClusterLogTypes", f"lacks {', '.join(missing)}", "add what is missing")


RULE = Rule("cluster-logs", "Clusters keep the logs of their control plane", (CLUSTER,), check)
