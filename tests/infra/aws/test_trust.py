"""Trust policies for GitHub: every way to open one is named, and sound ones pass."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from aws import trust
from aws.trust import AUDIENCE, ISSUER, Document, Purpose

ACCOUNT = "123456789012"
REPOSITORY = "owner/platform"
NUMBERED = "owner@123456/platform@456789"
AUD, SUB = f"{ISSUER}:aud", f"{ISSUER}:sub"
DEV = trust.environment(REPOSITORY, "dev")

GOOD = trust.policy(ACCOUNT, DEV)


def changed(change: Callable[[Document], object]) -> Document:
    """The good document with one thing changed in its statement."""
    document = copy.deepcopy(GOOD)
    change(document["Statement"][0])
    return document


def statement(**elements: Any) -> Document:
    return changed(lambda one: one.update(elements))


def condition(value: Any) -> Document:
    return statement(Condition=value)


def equals(**claims: Any) -> Document:
    """The good document with other values of `aud` or `sub`; None leaves one out."""
    values = {"aud": AUDIENCE, "sub": DEV, **claims}
    keys = {f"{ISSUER}:{claim}": value for claim, value in values.items() if value is not None}
    return condition({"StringEquals": keys})


def subject(value: Any) -> Document:
    return equals(sub=value)


def compared(operator: str, claim: str = SUB, value: Any = DEV) -> Document:
    """The good document with one claim compared by another operator."""
    rest = {key: item for key, item in ((AUD, AUDIENCE), (SUB, DEV)) if key != claim}
    return condition({"StringEquals": rest, operator: {claim: value}})


def beside(**elements: Any) -> Document:
    """The good statement and a second one like it, with something changed."""
    other = {**copy.deepcopy(GOOD["Statement"][0]), **elements}
    return {**GOOD, "Statement": [*copy.deepcopy(GOOD["Statement"]), other]}


def principal(value: Any) -> Document:
    return statement(Principal=value)


def without(element: str) -> Document:
    return changed(lambda one: one.pop(element))


BOTH = {AUD: AUDIENCE, SUB: DEV}
# What is changed in the good document, and what must be said about it.
BAD: dict[str, tuple[Document | str, str]] = {
    "no condition": (without("Condition"), "has no Condition"),
    "empty condition": (condition({}), "does not ask for an audience"),
    "no subject": (equals(sub=None), "does not ask for a subject"),
    "empty list of subjects": (subject([]), "does not ask for a subject"),
    "empty subject": (subject(""), "accepts the subject ''"),
    "every repository": (subject("repo:*"), "'repo:*', which has a wildcard"),
    "every subject": (subject("*"), "'*', which has a wildcard"),
    "an organization": (subject("repo:owner/*"), "'repo:owner/*', which has a wildcard"),
    "prefix of a name": (subject("repo:owner/platform*"), "'repo:owner/platform*', which has a wildcard"),
    "every context": (subject("repo:owner/platform:*"), "has a wildcard"),
    "every branch": (subject("repo:owner/platform:ref:refs/heads/*"), "has a wildcard"),
    "every environment": (subject("repo:owner/platform:environment:*"), "has a wildcard"),
    "one unknown letter": (subject("repo:owner/platform:environment:de?"), "has a wildcard"),
    "a variable": (subject("repo:owner/${aws:username}:environment:dev"), "has a wildcard"),
    "no context": (subject("repo:owner/platform"), "is not a whole subject"),
    "no environment": (subject("repo:owner/platform:environment:"), "is not a whole subject"),
    "a workflow as subject": (subject("job_workflow_ref:owner/platform/.github/x.yml@main"), "is not a whole subject"),
    "another repository": (subject("repo:owner/other:environment:dev"), "trusts repository owner/other"),
    "a longer name": (subject("repo:owner/platform2:environment:dev"), "trusts repository owner/platform2"),
    "another owner": (subject("repo:0wner/platform:environment:dev"), "trusts repository 0wner/platform"),
    "another case": (subject("repo:Owner/platform:environment:dev"), "trusts repository Owner/platform"),
    "another case of the kind": (subject("Repo:owner/platform:environment:dev"), "is not a whole subject"),
    "numbers of another repository": (
        subject("repo:owner@1/platform@2:environment:dev"),
        "trusts repository owner@1/platform@2",
    ),
    "one number of two": (subject("repo:owner@123456/platform:environment:dev"), "is not a whole subject"),
    "one open subject of two": (subject([DEV, "repo:*"]), "'repo:*', which has a wildcard"),
    "a subject that is no text": (subject(5), "accepts the subject 5"),
    "a branch, which nobody approves": (
        subject("repo:owner/platform:ref:refs/heads/main"),
        "bind it to an environment",
    ),
    "pull requests": (subject("repo:owner/platform:pull_request"), "bind it to an environment"),
    "no audience": (equals(aud=None), "does not ask for an audience"),
    "GitHub's own audience": (
        equals(aud="https://github.com/owner"),
        "accepts the audience 'https://github.com/owner'",
    ),
    "one wrong audience of two": (equals(aud=[AUDIENCE, "https://github.com/owner"]), "accepts the audience"),
    "another case of the audience": (equals(aud="STS.amazonaws.com"), "accepts the audience 'STS.amazonaws.com'"),
    "for all values": (compared("ForAllValues:StringEquals"), "by ForAllValues:StringEquals"),
    "for any value": (compared("ForAnyValue:StringEquals"), "by ForAnyValue:StringEquals"),
    "if it exists": (compared("StringEqualsIfExists"), "by StringEqualsIfExists"),
    "audience if it exists": (compared("StringEqualsIfExists", AUD, AUDIENCE), f"{ISSUER}:aud by StringEqualsIfExists"),
    "like, with a wildcard": (compared("StringLike", value="repo:owner/platform:*"), "by StringLike"),
    "like, without one": (compared("StringLike"), "by StringLike"),
    "whatever the case": (compared("StringEqualsIgnoreCase"), "by StringEqualsIgnoreCase"),
    "all but one": (compared("StringNotEquals", value=f"{DEV}2"), "by StringNotEquals"),
    "there at all": (compared("Null", value="false"), "by Null"),
    "like, in another case": (compared("StringLike", SUB.upper()), "by StringLike"),
    "operator in another case": (condition({"stringequals": BOTH}), "by stringequals"),
    "one claim twice": (condition({"StringEquals": {**BOTH, SUB.upper(): "repo:*"}}), "twice, in different case"),
    "claims of another issuer": (
        condition({"StringEquals": {"gitlab.com:aud": AUDIENCE, "gitlab.com:sub": DEV}}),
        "does not ask for an audience",
    ),
    "workflow alone": (
        condition({"StringEquals": {AUD: AUDIENCE, f"{ISSUER}:job_workflow_ref": "owner/platform/.github/x.yml@main"}}),
        "does not ask for a subject",
    ),
    "repository number alone": (
        condition({"StringEquals": {AUD: AUDIENCE, f"{ISSUER}:repository_id": "456789"}}),
        "does not ask for a subject",
    ),
    "condition that is a list": (condition([{"StringEquals": BOTH}]), "has no Condition"),
    "anybody": (principal("*"), "trusts '*'"),
    "any account": (principal({"AWS": "*"}), "trusts {'AWS': '*'}"),
    "any provider": (principal({"Federated": "*"}), "trusts the provider '*'"),
    "another provider": (
        principal({"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/gitlab.com"}),
        "oidc-provider/gitlab.com'",
    ),
    "a longer issuer": (
        principal({"Federated": f"{trust.provider_arn(ACCOUNT)}.example.com"}),
        "trusts the provider",
    ),
    "an issuer of an enterprise": (
        principal({"Federated": f"{trust.provider_arn(ACCOUNT)}/octo"}),
        "trusts the provider",
    ),
    "any account's provider": (
        principal({"Federated": f"arn:aws:iam::*:oidc-provider/{ISSUER}"}),
        "trusts the provider",
    ),
    "one provider of two": (
        principal({"Federated": [trust.provider_arn(ACCOUNT), "accounts.google.com"]}),
        "trusts the provider 'accounts.google.com'",
    ),
    "the account too": (
        principal({"Federated": trust.provider_arn(ACCOUNT), "AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        "trust GitHub's identity provider alone",
    ),
    "no principal": (without("Principal"), "trusts None"),
    "all but a principal": (
        changed(lambda one: one.update(NotPrincipal=one.pop("Principal"))),
        "has NotPrincipal",
    ),
    "all but an action": (changed(lambda one: one.update(NotAction=one.pop("Action"))), "has NotAction"),
    "a resource": (statement(Resource="*"), "has Resource"),
    "every action": (statement(Action="*"), "allows '*'"),
    "every action of STS": (statement(Action="sts:*"), "allows 'sts:*'"),
    "every way to assume": (statement(Action="sts:AssumeRole*"), "allows 'sts:AssumeRole*'"),
    "two actions": (statement(Action=[trust.ASSUME, "sts:AssumeRole"]), "allow sts:AssumeRoleWithWebIdentity alone"),
    "one open statement of two": (beside(Condition={}), "statement 2 does not ask for an audience"),
    "root beside it": (
        beside(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="sts:AssumeRole"),
        "statement 2 trusts {'AWS'",
    ),
    "a statement without effect": (without("Effect"), "has Effect None"),
    "effect in another case": (statement(Effect="allow"), "has Effect 'allow'"),
    "denial alone": (statement(Effect="Deny"), "allows nobody"),
    "no statement": ({"Version": "2012-10-17", "Statement": []}, "has no Statement"),
    "a statement that is text": ({"Version": "2012-10-17", "Statement": ["Allow"]}, "is no statement"),
    "an element of another case": ({**GOOD, "statement": GOOD["Statement"]}, "unknown element statement"),
    "no JSON": ("{", "is not a policy document"),
    "not an object": ("[]", "has no Statement"),
    "an element twice": (
        json.dumps(GOOD).replace('"Condition":', '"Condition": {}, "Condition":'),
        "Condition appears twice",
    ),
}

PREVIEW = trust.policy(ACCOUNT, trust.pull_requests(REPOSITORY))
# The document, the repository and the purpose that it is sound for.
SOUND: dict[str, tuple[Document | str, str | None, Purpose | None]] = {
    "an environment": (GOOD, REPOSITORY, "deploy"),
    "pull requests": (PREVIEW, REPOSITORY, "preview"),
    "numbers": (trust.policy(ACCOUNT, trust.environment(NUMBERED, "dev")), NUMBERED, "deploy"),
    "pull requests by numbers": (trust.policy(ACCOUNT, trust.pull_requests(NUMBERED)), NUMBERED, "preview"),
    "as text": (json.dumps(GOOD), REPOSITORY, "deploy"),
    "a statement without a list": ({**GOOD, "Statement": GOOD["Statement"][0]}, REPOSITORY, "deploy"),
    "two environments": (subject([DEV, trust.environment(REPOSITORY, "staging")]), REPOSITORY, "deploy"),
    "lists of one": (
        changed(lambda one: one.update(Action=[trust.ASSUME], Principal={"Federated": [trust.provider_arn(ACCOUNT)]})),
        REPOSITORY,
        "deploy",
    ),
    "keys in another case": (
        condition({"StringEquals": {AUD.upper(): AUDIENCE, f"{ISSUER}:SUB": DEV}}),
        REPOSITORY,
        "deploy",
    ),
    "action in another case": (statement(Action="sts:assumerolewithwebidentity"), REPOSITORY, "deploy"),
    "narrower by workflow": (
        condition({"StringEquals": {**BOTH, f"{ISSUER}:job_workflow_ref": "owner/platform/.github/x.yml@main"}}),
        REPOSITORY,
        "deploy",
    ),
    "narrower by address": (
        condition({"StringEquals": BOTH, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}),
        REPOSITORY,
        "deploy",
    ),
    "denial beside it": (
        beside(Effect="Deny", Principal="*", Action="sts:*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
        REPOSITORY,
        "deploy",
    ),
    "main, where no purpose is asked for": (subject("repo:owner/platform:ref:refs/heads/main"), REPOSITORY, None),
    "any repository, where none is asked for": (subject("repo:other/one:environment:prod"), None, None),
    "a statement's name": (statement(Sid="GitHub"), REPOSITORY, "deploy"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_open_policy_is_refused_with_its_reason(name: str) -> None:
    document, reason = BAD[name]
    problems = trust.problems(document, REPOSITORY, "deploy")
    assert any(reason in problem for problem in problems), problems


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_policy_passes(name: str) -> None:
    document, repository, purpose = SOUND[name]
    assert trust.problems(document, repository, purpose) == []


def test_there_are_enough_of_both() -> None:
    assert len(BAD) >= 24
    assert len(SOUND) >= 8


def test_the_bad_ones_do_not_say_the_same() -> None:
    """One change, and no more reasons than it gives: an audience and a subject at most."""
    for name, (document, _) in BAD.items():
        assert 1 <= len(trust.problems(document, REPOSITORY, "deploy")) <= 2, name


def test_purposes_do_not_mix() -> None:
    mixed = trust.policy(ACCOUNT, DEV)
    mixed["Statement"][0]["Condition"]["StringEquals"][SUB] = [DEV, trust.pull_requests(REPOSITORY)]
    assert trust.problems(mixed) == ["trusts pull requests and something else; give pull requests a role of their own"]
    assert "bind it to pull_request" in trust.problems(GOOD, REPOSITORY, "preview")[0]


def test_what_has_nothing_to_do_with_web_identities_is_told_apart() -> None:
    service = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}}],
    }
    assert not trust.is_federated(service)
    assert trust.is_federated(GOOD)
    assert trust.is_federated(json.dumps(principal({"Federated": "*"})))
