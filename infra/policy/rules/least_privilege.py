"""No role may do everything: neither by a policy of this program nor by one of AWS's own."""

import re
from collections.abc import Iterator

from aws import naming
from policy import documents
from policy.documents import Statement
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import ROLE

POLICY = "aws:iam/policy:Policy"
# Where each type keeps a policy of its own, and where it names policies.
DOCUMENTS = {
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    POLICY: "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
}
ATTACHMENTS = {
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    ROLE: "managedPolicyArns",
}
# AWS's policies that allow everything, or to give oneself everything.
ADMINISTRATOR = re.compile(
    r"arn:aws[\w-]*:iam::aws:policy/(.+/)?(AdministratorAccess.*|PowerUserAccess|IAMFullAccess|SystemAdministrator)"
)
# The name of a stack's boundary, or of the one that was all stacks'.
BOUNDARY = re.compile(rf"{naming.account_boundary()}(-[a-z0-9-]+)?")
FIX = "name the actions and the resources that are needed"


def check(resource: Resource) -> Iterator[Verdict]:
    if key := DOCUMENTS.get(resource.type):
        yield from _document(resource, key)
    if key := ATTACHMENTS.get(resource.type):
        yield from _attached(resource, key)
    if resource.type == ROLE:
        for index in range(len(resource.list("inlinePolicies"))):
            yield from _document(resource, "inlinePolicies", index, "policy")


def _document(resource: Resource, *path: str | int) -> Iterator[Verdict]:
    found, verdicts = documents.statements(resource, *path)
    yield from verdicts
    # A boundary grants nothing: it is the most that others may grant, and nobody may attach it as a policy.
    is_boundary = resource.type == POLICY and bool(BOUNDARY.fullmatch(str(resource.value("name"))))
    for statement in documents.allowed(found):
        for wrong in _too_much(statement, services_allowed=is_boundary or _only_tagged(statement)):
            yield Finding(resource, str(path[0]), f"{documents.sid(statement)} {wrong}", FIX)


def _too_much(statement: Statement, *, services_allowed: bool) -> Iterator[str]:
    if "NotAction" in statement:
        yield "allows all actions but some (NotAction)"
    if "NotResource" in statement:
        yield "allows it on all resources but some (NotResource)"
    everywhere = any(set(str(one)) <= {"*", ":", "?"} for one in documents.items(statement.get("Resource")))
    for action in documents.items(statement.get("Action")):
        # `*`, `*:*` and the like are too much wherever; a whole service on every resource is, too.
        service, _, name = str(action).partition(":")
        if "*" in service or "?" in service:
            yield f"allows {action}"
        elif everywhere and not name.strip("*?") and not services_allowed:
            yield f"allows {action} on every resource"


def _only_tagged(statement: Statement) -> bool:
    """Whether it is about resources with one exact tag; what has no such tag does not match."""
    condition = statement.get("Condition")
    exact = condition.get("StringEquals") if isinstance(condition, dict) else None
    return isinstance(exact, dict) and any(key.casefold().startswith("aws:resourcetag/") for key in exact)


def _attached(resource: Resource, key: str) -> Iterator[Verdict]:
    for arn in resource.list(key):
        if arn is UNKNOWN:
            yield Undecided(resource, key)
        elif ADMINISTRATOR.fullmatch(str(arn)) or BOUNDARY.fullmatch(str(arn).rpartition(":policy/")[2]):
            yield Finding(resource, key, f"attaches {arn}", f"attach a policy of its own: {FIX}")


RULE = Rule("least-privilege", "No role may do everything", tuple({**DOCUMENTS, **ATTACHMENTS}), check)
