"""Every role of a stack is limited by the stack's own boundary, so that no deploy role can make a stronger one."""

from collections.abc import Iterator

from aws import naming
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import ROLE
from settings import PROJECT

KEY = "permissionsBoundary"


def check(role: Resource) -> Iterator[Verdict]:
    if role.project != PROJECT:
        return  # the roles of CI, which the bootstrap makes beside the boundary, are what it protects from
    found = role.value(KEY)
    if found is UNKNOWN:
        yield Undecided(role, KEY)
    elif not str(found).endswith(f":policy/{naming.boundary(role.stack)}"):
        wrong = "is missing" if found is None else f"is {found}"
        yield Finding(role, KEY, wrong, f"give the ARN of the policy {naming.boundary(role.stack)}")


RULE = Rule("role-boundary", "Roles stay within their stack's boundary", (ROLE,), check)
