"""Kubernetes secrets are encrypted by a key of the account's own before they reach etcd's disk."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import CLUSTER

FIX = "give resources [secrets] and the ARN of a KMS key as provider.keyArn"


def check(cluster: Resource) -> Iterator[Verdict]:
    covered = cluster.list("encryptionConfig", "resources")
    if UNKNOWN in covered:
        yield Undecided(cluster, "encryptionConfig.resources")
    elif "secrets" not in covered:
        yield Finding(cluster, "encryptionConfig.resources", "does not list secrets", FIX)
    # The key's ARN is not known before the key is there; that there is one is enough.
    if not cluster.value("encryptionConfig", "provider", "keyArn"):
        yield Finding(cluster, "encryptionConfig.provider.keyArn", "is missing", FIX)


RULE = Rule("cluster-encryption", "Clusters encrypt Kubernetes secrets with a KMS key", (CLUSTER,), check)
