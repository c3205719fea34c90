"""What the rules have to know of a stack: what its cluster file says."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from settings import ROOT, AwsShared, AwsStage, LocalCluster, cluster_names, load_cluster
from settings.aws import PRODUCTION


@dataclass(frozen=True)
class Facts:
    """`local`: it has one machine's own object store instead of AWS. `production`: people depend on it. `protect`: what
    holds data goes only after a merged change has said so.
    """

    local: bool = False
    production: bool = True
    protect: bool = True


# A stack without a cluster file, such as that of the state bucket: nothing is forgiven.
STRICT = Facts()


@cache
def facts(stack: str, root: Path = ROOT) -> Facts:
    """What `clusters/<stack>/cluster.yaml` says. Raises SettingsError where the file is wrong."""
    if not (root / "clusters" / stack / "cluster.yaml").is_file():
        return STRICT
    match load_cluster(stack, root):
        case LocalCluster():
            return Facts(local=True, production=False, protect=False)
        case AwsStage() as stage:
            return Facts(production=stage.protect or PRODUCTION in stage.stages, protect=stage.protect)
        case AwsShared() as shared:
            return Facts(protect=shared.protect)


@cache
def accounts(root: Path = ROOT) -> frozenset[str]:
    """The accounts that the cluster files name. Raises SettingsError where one is wrong."""
    clusters = (load_cluster(name, root) for name in cluster_names(root))
    return frozenset(one.account for one in clusters if isinstance(one, AwsShared | AwsStage))


@cache
def repository(root: Path = ROOT) -> str | None:
    """The one repository whose workflows may assume roles, as GitHub's tokens name it; None without clusters on AWS."""
    stages = (found for name in cluster_names(root) if isinstance(found := load_cluster(name, root), AwsStage))
    return next((stage.forge.claim for stage in stages), None)
