"""What buckets hold is encrypted."""

from collections.abc import Iterator

from policy import buckets
from policy.resources import Stack
from policy.rule import Rule, Verdict
from policy.tokens import BUCKET_ENCRYPTION, BUCKETS

ALGORITHM = ("rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm")
FIX = "add one with sseAlgorithm AES256 or aws:kms"


def check(stack: Stack) -> Iterator[Verdict]:
    wanted = (ALGORITHM, ("AES256", "aws:kms", "aws:kms:dsse"))
    for bucket in buckets.on_aws(stack):
        yield from buckets.setting(stack, bucket, BUCKET_ENCRYPTION, FIX, wanted)


RULE = Rule("bucket-encryption", "Buckets encrypt what they hold", (*BUCKETS, *BUCKET_ENCRYPTION), check_stack=check)
