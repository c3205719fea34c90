"""Who may assume a role is named: GitHub's jobs by audience and full subject, everybody else by their ARN."""

from collections.abc import Iterator

from aws import naming, trust
from policy import documents, stacks
from policy.resources import Resource
from policy.rule import Finding, Rule, Verdict, expect
from policy.tokens import ROLE

KEY = "assumeRolePolicy"
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


RULE = Rule("role-trust", "Roles name who may assume them", (ROLE, PROVIDER), check)
