"""Who may assume a role through GitHub's OpenID Connect tokens: trust policies made, and trust policies judged.

GitHub signs a token for each job that asks, for any repository in the world. What makes a role ours is the condition
on the token's audience and subject, so `problems` accepts exact values of both and nothing that only looks like them.
It is strict where IAM's documentation is silent: an element it does not know is a problem.

- https://docs.github.com/en/actions/reference/security/oidc
- https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
ASSUME = "sts:AssumeRoleWithWebIdentity"

PROVIDER = re.compile(rf"arn:aws:iam::\d{{12}}:oidc-provider/{re.escape(ISSUER)}")
_NAME = r"[A-Za-z0-9._-]+"
# Since July 2026 new and renamed repositories carry their numbers: repo:octocat@123456/my-repo@456789:pull_request.
REPOSITORY = rf"{_NAME}/{_NAME}|{_NAME}@\d+/{_NAME}@\d+"
SUBJECT = re.compile(
    rf"repo:(?P<repository>{REPOSITORY}):"
    rf"(?P<context>pull_request|environment:{_NAME}|ref:refs/(?:heads|tags)/[A-Za-z0-9._/-]+)"
)

Document = dict[str, Any]
# What a role is for: `preview` serves pull requests, `deploy` one protected environment.
Purpose = Literal["preview", "deploy"]


def provider_arn(account: str) -> str:
    """The ARN of the account's identity provider for GitHub."""
    return f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"


def pull_requests(repository: str) -> str:
    """The subject of jobs that a pull request started. Those of forks get no token."""
    return f"repo:{repository}:pull_request"


def environment(repository: str, name: str) -> str:
    """The subject of jobs that the environment's own rules let through."""
    return f"repo:{repository}:environment:{name}"


def policy(account: str, subject: str) -> Document:
    """The trust policy of a role for one subject."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn(account)},
                "Action": ASSUME,
                "Condition": {"StringEquals": {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": subject}},
            }
        ],
    }


def is_federated(document: Document | str) -> bool:
    """Whether a trust policy has to do with web identities at all, so that `problems` has a say in it."""
    text = document if isinstance(document, str) else json.dumps(document)
    return any(word in text.casefold() for word in ("federated", "oidc-provider", ISSUER, ASSUME.casefold()))


def problems(document: Document | str, repository: str | None = None, purpose: Purpose | None = None) -> list[str]:
    """Everything wrong with a trust policy for GitHub's tokens; empty when it is sound.

    `repository` is the only one that may be trusted, as tokens write it (`owner/name`, or `owner@1/name@2`), and
    `purpose` what the role is for. Without them any repository and any one purpose will do.
    """
    try:
        parsed = json.loads(document, object_pairs_hook=_once) if isinstance(document, str) else document
    except ValueError as error:
        return [f"is not a policy document: {error}"]
    if not isinstance(parsed, dict) or not parsed.get("Statement"):
        return ["has no Statement"]
    found = [f"has the unknown element {key}" for key in sorted(set(parsed) - {"Version", "Id", "Statement"})]
    statements = parsed["Statement"] if isinstance(parsed["Statement"], list) else [parsed["Statement"]]
    contexts: set[str] = set()
    allows = 0
    for number, statement in enumerate(statements, 1):
        where = "" if len(statements) == 1 else f"statement {number} "
        if not isinstance(statement, dict):
            found.append(f"{where}is no statement")
            continue
        if statement.get("Effect") == "Deny":
            continue  # takes away only
        allows += 1
        found += [where + problem for problem in _statement(statement, repository, purpose, contexts)]
    if not allows:
        found.append("allows nobody: add a statement with Effect Allow")
    if "pull_request" in contexts and len(contexts) > 1:
        found.append("trusts pull requests and something else; give pull requests a role of their own")
    return found


def _once(pairs: list[tuple[str, Any]]) -> Document:
    keys = [key for key, _ in pairs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"{', '.join(twice)} appears twice")
    return dict(pairs)


def _statement(
    statement: Document, repository: str | None, purpose: Purpose | None, contexts: set[str]
) -> Iterator[str]:
    for key in sorted(set(statement) - {"Sid", "Effect", "Principal", "Action", "Condition"}):
        yield f"has {key}; a trust policy says whom it allows, with Principal, Action and Condition"
    if statement.get("Effect") != "Allow":
        yield f"has Effect {statement.get('Effect')!r}; write Allow or Deny"
    yield from _principal(statement.get("Principal"))
    # IAM compares actions without regard to case.
    if [str(action).casefold() for action in _list(statement.get("Action"))] != [ASSUME.casefold()]:
        yield f"allows {statement.get('Action')!r}; allow {ASSUME} alone"
    yield from _condition(statement.get("Condition"), repository, purpose, contexts)


def _principal(principal: Any) -> Iterator[str]:
    if not isinstance(principal, dict) or set(principal) != {"Federated"}:
        yield f"trusts {principal!r}; trust GitHub's identity provider alone, as Federated"
        return
    for arn in _list(principal["Federated"]) or [None]:
        if not isinstance(arn, str) or not PROVIDER.fullmatch(arn):
            yield f"trusts the provider {arn!r}; write arn:aws:iam::<account>:oidc-provider/{ISSUER}"


def _condition(condition: Any, repository: str | None, purpose: Purpose | None, contexts: set[str]) -> Iterator[str]:
    """Operators and keys are all required at once, so more of them than asked for only narrow the statement."""
    if not isinstance(condition, dict) or not all(isinstance(keys, dict) for keys in condition.values()):
        yield "has no Condition, so any token of GitHub's will do; add StringEquals on audience and subject"
        return
    values: dict[str, list[Any]] = {}
    for operator, keys in condition.items():
        for key, value in keys.items():
            # IAM compares condition keys without regard to case, and values with.
            claim = key.casefold()
            if claim not in {f"{ISSUER}:aud", f"{ISSUER}:sub"}:
                continue
            if operator != "StringEquals":
                yield f"compares {claim} by {operator}; use StringEquals, which is exact and fails when it is missing"
            elif claim in values:
                yield f"has {claim} twice, in different case; keep one"
            values[claim] = _list(value)
    yield from _audience(values.get(f"{ISSUER}:aud"))
    yield from _subjects(values.get(f"{ISSUER}:sub"), repository, purpose, contexts)


def _audience(audiences: Sequence[Any] | None) -> Iterator[str]:
    if not audiences:
        yield f"does not ask for an audience; add {ISSUER}:aud {AUDIENCE}"
    for audience in audiences or ():
        if audience != AUDIENCE:
            yield f"accepts the audience {audience!r}; accept {AUDIENCE} alone"


def _subjects(
    subjects: Sequence[Any] | None, repository: str | None, purpose: Purpose | None, contexts: set[str]
) -> Iterator[str]:
    if not subjects:
        yield f"does not ask for a subject, so any repository will do; add {ISSUER}:sub"
    for subject in subjects or ():
        match = SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
        if not match:
            wild = isinstance(subject, str) and any(sign in subject for sign in "*?$")
            why = "has a wildcard" if wild else "is not a whole subject"
            yield f"accepts the subject {subject!r}, which {why}; write repo:owner/name:environment:<name>"
            continue
        contexts.add(match["context"])
        if repository is not None and match["repository"] != repository:
            yield f"trusts repository {match['repository']}; trust {repository} alone"
        if purpose == "deploy" and not match["context"].startswith("environment:"):
            yield f"deploys for {match['context']}, which nobody approves; bind it to an environment"
        if purpose == "preview" and match["context"] != "pull_request":
            yield f"previews for {match['context']}; bind it to pull_request"


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
