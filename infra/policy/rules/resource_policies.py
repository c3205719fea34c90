"""Policies of buckets, repositories and keys name whom they let in; nobody is let in as everybody."""

from collections.abc import Iterator

from policy import documents
from policy.resources import Resource
from policy.rule import Finding, Rule, Verdict
from policy.tokens import BUCKET_POLICY, KEY, REPOSITORY_TEMPLATE

# Where each type keeps its policy.
DOCUMENTS = {
    BUCKET_POLICY: "policy",
    KEY: "policy",
    REPOSITORY_TEMPLATE: "repositoryPolicy",
    "aws:ecr/registryPolicy:RegistryPolicy": "policy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
}
FIX = "name accounts or roles by their ARN"


def check(resource: Resource) -> Iterator[Verdict]:
    key = DOCUMENTS[resource.type]
    found, verdicts = documents.statements(resource, key)
    yield from verdicts
    for statement in documents.allowed(found):
        if "NotPrincipal" in statement:
            yield Finding(resource, key, f"{documents.sid(statement)} allows all but some (NotPrincipal)", FIX)
            continue
        named = documents.principals(statement)
        for wild in [one for one in named if "*" in one] if named else ["of nobody in particular"]:
            yield Finding(resource, key, f"{documents.sid(statement)} allows Principal {wild}", FIX)


RULE = Rule("resource-policies", "Policies of resources name whom they let in", tuple(DOCUMENTS), check)
