"""Who may assume a role is named: GitHub's jobs by audience and full subject, everybody else by their ARN, and
no account but those of the clusters.
"""

import re
from collections.abc import Iterator

from aws import naming, trust
from policy import documents, stacks
from policy.resources import Resource
from policy.rule import Finding, Rule, Verdict, expect
from policy.tokens import ROLE

KEY = "assumeRolePolicy"
SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")
PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == PROVIDER:
        yield from expect(resource, ("url",), f"https://{trust.ISSUER}", "trust GitHub's tokens alone")
        yield from expect(resource, ("clientIdLists",), [trust.AUDIENCE], f"accept {trust.AUDIENCE} alone")
    else:
        yield from _role(resource)


def _role(role: Resource) -> Iterator[Verdict]:
    found, verdicts = documents.statements(role, KEY)
    yield from verdicts
    if verdicts:
        return
    document = role.value(KEY)
    if trust.is_federated(document):
        # Only the role that changes nothing may serve pull requests, which nobody has reviewed.
        purpose: trust.Purpose = "preview" if role.value("name") == naming.preview_role() else "deploy"
        for problem in trust.problems(document, stacks.repository(), purpose):
            yield Finding(role, KEY, problem.partition("; ")[0], problem.partition("; ")[2] or "correct the document")
        return
    for statement in documents.allowed(found):
        fix = "name services, or roles by their ARN"
        if "NotPrincipal" in statement:
            yield Finding(role, KEY, f"{documents.sid(statement)} trusts all but some (NotPrincipal)", fix)
        for principal in documents.principals(statement):
            if "*" in principal:
                yield Finding(role, KEY, f"{documents.sid(statement)} trusts {principal}", fix)
            elif SERVICE.fullmatch(principal) is None and _account(principal) not in stacks.accounts():
                wrong = f"{documents.sid(statement)} trusts {principal}, which is in no account under clusters/"
                yield Finding(role, KEY, wrong, fix)


def _account(principal: str) -> str:
    """The account that a principal is in, or is: an ARN, or twelve digits. Empty where an ARN has none."""
    if not principal.startswith("arn:"):
        return principal
    parts = principal.split(":")
    return parts[4] if len(parts) > 5 else ""


RULE = Rule("role-trust", "Roles name who may assume them", (ROLE, PROVIDER), check)
