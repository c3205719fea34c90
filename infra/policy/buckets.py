"""What several rules ask of the buckets of a stack."""

from collections.abc import Iterator

from policy.resources import Resource, Stack
from policy.rule import Finding, Verdict, expect
from policy.tokens import BUCKETS

Path = tuple[str | int, ...]


def on_aws(stack: Stack) -> Iterator[Resource]:
    """The buckets that are Amazon's. The object store of one machine has no KMS, no public access and no TLS."""
    return (bucket for bucket in stack.of(*BUCKETS) if not bucket.facts.local)


def settings(stack: Stack, bucket: Resource, types: tuple[str, ...]) -> list[Resource]:
    """The resources of these types that are about a bucket."""
    return [item for item in stack.of(*types) if item.belongs_to(bucket, "bucket")]


def setting(
    stack: Stack, bucket: Resource, types: tuple[str, ...], fix: str, *wanted: tuple[Path, object]
) -> Iterator[Verdict]:
    """A bucket must have a resource of one of these types, and each of them every wanted value."""
    found = settings(stack, bucket, types)
    if not found:
        yield Finding(bucket, "bucket", f"has no {types[0].rpartition(':')[2]}", fix)
    for item in found:
        for path, value in wanted:
            yield from expect(item, path, value, fix)
