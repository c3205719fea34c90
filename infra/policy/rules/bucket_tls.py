"""Buckets refuse requests without TLS, for themselves and for what they hold."""

from collections.abc import Iterator

from policy import buckets, documents
from policy.documents import Statement
from policy.resources import UNKNOWN, Stack
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import BUCKET_POLICY, BUCKETS

FIX = (
    "deny s3:* to Principal * on the bucket and on the bucket/*, under the one condition that"
    " aws:SecureTransport is false"
)


def check(stack: Stack) -> Iterator[Verdict]:
    for bucket in buckets.on_aws(stack):
        policies = buckets.settings(stack, bucket, (BUCKET_POLICY,))
        if not policies:
            yield Finding(bucket, "bucket", "has no BucketPolicy", FIX)
        for policy in policies:
            found, verdicts = documents.statements(policy, "policy")
            yield from verdicts
            name = bucket.value("bucket")
            if name is UNKNOWN or name is None:  # made up by the provider, which an update tells
                yield Undecided(bucket, "bucket")
            elif not verdicts and not any(_denies(statement, name) for statement in found):
                yield Finding(policy, "policy", "lets requests without TLS in", FIX)


def _denies(statement: Statement, bucket: str) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and "*" in documents.principals(statement)
        and {"s3:*", "*"} & set(documents.items(statement.get("Action"))) != set()
        and _covers(documents.items(statement.get("Resource")), bucket)
        and _only_without_tls(statement.get("Condition"))
    )


def _covers(resources: list[str], bucket: str) -> bool:
    return "*" in resources or {f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"} <= set(resources)


def _only_without_tls(condition: object) -> bool:
    """Any further condition would leave requests over that do not meet it."""
    if not isinstance(condition, dict) or set(condition) != {"Bool"} or not isinstance(condition["Bool"], dict):
        return False
    tests = {key.casefold(): documents.items(value) for key, value in condition["Bool"].items()}
    return set(tests) == {"aws:securetransport"} and tests["aws:securetransport"] in (["false"], [False])


RULE = Rule("bucket-tls", "Buckets refuse requests without TLS", (*BUCKETS, BUCKET_POLICY), check_stack=check)
