"""An image tag means one image for ever."""

from collections.abc import Iterator

from policy.resources import Resource
from policy.rule import Rule, Verdict, expect
from policy.tokens import REPOSITORY, REPOSITORY_TEMPLATE


def check(resource: Resource) -> Iterator[Verdict]:
    yield from expect(resource, ("imageTagMutability",), "IMMUTABLE", "set it to IMMUTABLE")


RULE = Rule("repository-tags", "Image tags are immutable", (REPOSITORY, REPOSITORY_TEMPLATE), check)
