"""A cluster's API is not open to the world, and in production not to any part of it."""

from collections.abc import Iterator

from policy.networks import everywhere
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict, expect
from policy.tokens import CLUSTER

PUBLIC, CIDRS = ("vpcConfig", "endpointPublicAccess"), ("vpcConfig", "publicAccessCidrs")


def check(cluster: Resource) -> Iterator[Verdict]:
    yield from expect(cluster, ("vpcConfig", "endpointPrivateAccess"), True, "set it to true, for nodes and runners")
    if cluster.facts.production:
        yield from expect(cluster, PUBLIC, False, "set it to false: people depend on this cluster")
        return
    public = cluster.value(*PUBLIC)
    if public is UNKNOWN:
        yield Undecided(cluster, "vpcConfig.endpointPublicAccess")
    elif public is not False:  # EKS's own default is true
        yield from _limited(cluster)


def _limited(cluster: Resource) -> Iterator[Verdict]:
    key, cidrs = ".".join(CIDRS), cluster.list(*CIDRS)
    if not cidrs:
        yield Finding(cluster, key, "is missing, which opens the public endpoint to all", "list who may reach it")
    for cidr in cidrs:
        if cidr is UNKNOWN:
            yield Undecided(cluster, key)
        elif everywhere(cidr):
            yield Finding(cluster, key, f"has {cidr}, which is everybody", "list who may reach it")


RULE = Rule("cluster-endpoint", "No cluster's API is open to everybody, and production's is private", (CLUSTER,), check)
