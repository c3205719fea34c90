"""A provider changes the one account that the cluster file names, and nothing else that answers in AWS's place."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import AWS_PROVIDER


def check(provider: Resource) -> Iterator[Verdict]:
    if provider.facts.local:
        return
    accounts = provider.value("allowedAccountIds")
    if accounts is UNKNOWN:
        yield Undecided(provider, "allowedAccountIds")
    elif not accounts or accounts == "[]":
        yield Finding(provider, "allowedAccountIds", "is missing", "give the account of the cluster file")
    for key in ("endpoints", "accessKey", "secretKey", "skipRequestingAccountId"):
        if provider.value(key) not in (None, False, "false", "[]"):
            fix = "remove it; the environment (AWS_ENDPOINT_URL, the login) says where and who"
            yield Finding(provider, key, "is set", fix)


RULE = Rule("account", "Providers are bound to one account", (AWS_PROVIDER,), check)
