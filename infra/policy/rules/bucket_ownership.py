"""What a bucket holds is its account's, whoever wrote it, so that policies alone say who reads it."""

from collections.abc import Iterator

from policy import buckets
from policy.resources import Stack
from policy.rule import Rule, Verdict
from policy.tokens import BUCKET_OWNERSHIP, BUCKETS

FIX = "add one with rule.objectOwnership BucketOwnerEnforced, which turns access control lists off"


def check(stack: Stack) -> Iterator[Verdict]:
    wanted = (("rule", "objectOwnership"), "BucketOwnerEnforced")
    for bucket in buckets.on_aws(stack):
        yield from buckets.setting(stack, bucket, (BUCKET_OWNERSHIP,), FIX, wanted)


RULE = Rule("bucket-ownership", "Buckets own what they hold", (*BUCKETS, BUCKET_OWNERSHIP), check_stack=check)
