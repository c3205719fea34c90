"""Nobody can make a bucket public, neither by a policy nor by an access control list."""

from collections.abc import Iterator

from policy import buckets
from policy.resources import Stack
from policy.rule import Rule, Verdict
from policy.tokens import BUCKET_PUBLIC_ACCESS, BUCKETS

SWITCHES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
FIX = f"add one with {', '.join(SWITCHES)} all true"


def check(stack: Stack) -> Iterator[Verdict]:
    wanted = [((switch,), True) for switch in SWITCHES]
    for bucket in buckets.on_aws(stack):
        yield from buckets.setting(stack, bucket, (BUCKET_PUBLIC_ACCESS,), FIX, *wanted)


RULE = Rule("bucket-public-access", "Buckets block public access", (*BUCKETS, BUCKET_PUBLIC_ACCESS), check_stack=check)
