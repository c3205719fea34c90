"""What holds data cannot be deleted by a change to it alone, where the cluster file says so."""

from collections.abc import Iterator

from policy.resources import Resource
from policy.rule import Finding, Rule, Verdict
from policy.tokens import BUCKETS, CLUSTER, KEY, REPOSITORY

# A key that is gone takes all that it encrypted with it.
STATEFUL = (
    *BUCKETS,
    CLUSTER,
    KEY,
    REPOSITORY,
    "aws:dynamodb/table:Table",
    "aws:ebs/volume:Volume",
    "aws:efs/fileSystem:FileSystem",
    "aws:rds/cluster:Cluster",
    "aws:rds/instance:Instance",
)


def check(resource: Resource) -> Iterator[Verdict]:
    # One machine's store has nothing else between an update and its data.
    if (resource.facts.protect or resource.facts.local) and not resource.protect:
        fix = "set protect=True (from the cluster file's protect), or have a merged change set that to false"
        yield Finding(resource, "protect", "is not set", fix)


RULE = Rule("protection", "What holds data is protected", STATEFUL, check)
