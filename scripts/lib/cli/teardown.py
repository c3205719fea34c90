"""What must go from a cluster on AWS before the cluster itself, and in which order: a plan, without effects.

Controllers in the cluster made load balancers, volumes and nodes that Pulumi knows nothing of. They take them away only
while they run, so what they act upon goes first; a cluster that is deleted under them leaves all of it behind.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
# With it Argo CD deletes what an Application deployed, and only then the Application.
CASCADE = "resources-finalizer.argocd.argoproj.io"


@dataclass(frozen=True)
class Target:
    """One object, as kubectl names it."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Phase:
    """Delete every object of `kind` that `picks` chooses, and wait until all are gone.

    `finalizer` is set before; `cascade` is what becomes of what the object owns. `waits` false goes on at once, for
    what a later phase waits for; `deletes` false only waits.
    """

    title: str
    kind: str
    picks: Callable[[Document], bool] = lambda document: True
    finalizer: str = ""
    cascade: str = "background"
    deletes: bool = True
    waits: bool = True
    seconds: int = 600

    def targets(self, documents: Iterable[Document]) -> list[Target]:
        """Those of `documents` (all of this kind) that are to go."""
        return [
            Target(self.kind, one["metadata"].get("namespace", ""), one["metadata"]["name"])
            for one in documents
            if self.picks(one)
        ]


def phases(argocd_runs: bool) -> Sequence[Phase]:
    """The order. Without a running Argo CD nobody would honour its finalizer, so its Applications just go."""
    return (
        # First, or it would put the sets back; and a set would put its Applications back.
        Phase("Argo CD's root Application", "applications.argoproj.io", is_root),
        Phase("Argo CD's ApplicationSets", "applicationsets.argoproj.io", cascade="orphan"),
        Phase(
            "Argo CD's Applications, with what they deployed",
            "applications.argoproj.io",
            finalizer=CASCADE if argocd_runs else "",
            seconds=1200,
        ),
        Phase("Ingresses", "ingresses.networking.k8s.io"),
        Phase("Services with a load balancer", "services", has_load_balancer),
        Phase("volume claims", "persistentvolumeclaims", waits=False),
        # A claim goes only after the last pod that uses it; a controller's next pod finds the claim on its way out.
        Phase("pods that hold volumes", "pods", holds_volume, waits=False),
        Phase("volumes", "persistentvolumes", is_deleted_with_claim, deletes=False),
        # Their controller drains and ends every node of a pool before it lets the pool go.
        Phase("node pools", "nodepools.karpenter.sh", is_own_pool, seconds=1200),
        Phase("nodes of these pools", "nodeclaims.karpenter.sh", is_of_own_pool, deletes=False, seconds=1200),
    )


# What EKS Auto Mode brings, keeps, and takes away with the cluster.
BUILT_IN_POOLS = ("general-purpose", "system")


def is_root(document: Document) -> bool:
    """Whether an Application is the one that holds all others."""
    name: str = document["metadata"]["name"]
    return name == "root"


def has_load_balancer(document: Document) -> bool:
    """Whether a Service has a load balancer outside of the cluster."""
    return bool(document.get("spec", {}).get("type") == "LoadBalancer")


def holds_volume(document: Document) -> bool:
    """Whether a Pod uses a volume claim."""
    return any("persistentVolumeClaim" in one for one in document.get("spec", {}).get("volumes") or [])


def is_deleted_with_claim(document: Document) -> bool:
    """Whether a PersistentVolume's disk goes with its claim; one that is kept on purpose is not waited for."""
    return bool(document.get("spec", {}).get("persistentVolumeReclaimPolicy") == "Delete")


def is_own_pool(document: Document) -> bool:
    """Whether a NodePool is ours and not one of EKS's own."""
    return document["metadata"]["name"] not in BUILT_IN_POOLS


def is_of_own_pool(document: Document) -> bool:
    """Whether a NodeClaim belongs to a pool of ours."""
    labels: dict[str, str] = document["metadata"].get("labels") or {}
    return labels.get("karpenter.sh/nodepool", "") not in BUILT_IN_POOLS
