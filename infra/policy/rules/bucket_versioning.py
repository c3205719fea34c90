"""Buckets keep what was overwritten or deleted; on one machine as on AWS."""

from collections.abc import Iterator

from policy import buckets
from policy.resources import Stack
from policy.rule import Rule, Verdict
from policy.tokens import BUCKET_VERSIONING, BUCKETS

FIX = "add one with versioningConfiguration.status Enabled"


def check(stack: Stack) -> Iterator[Verdict]:
    wanted = (("versioningConfiguration", "status"), "Enabled")
    for bucket in stack.of(*BUCKETS):
        yield from buckets.setting(stack, bucket, BUCKET_VERSIONING, FIX, wanted)


RULE = Rule("bucket-versioning", "Buckets keep old versions", (*BUCKETS, *BUCKET_VERSIONING), check_stack=check)
