"""IAM policy documents: who may do what, and who may assume a role. Pure functions; nothing here is a resource."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Statement = dict[str, Any]


def document(*statements: Statement) -> str:
    """A policy as JSON, the same text each time for the same statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str] = (),
    *,
    principals: Sequence[str] = (),
    condition: Mapping[str, Any] | None = None,
) -> Statement:
    """A statement that allows. `principals`: ARNs, for a policy of a resource; without any, for a policy of a role."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        **({"Resource": list(resources)} if resources else {}),
        **({"Principal": {"AWS": sorted(principals)}} if principals else {}),
        **({"Condition": dict(condition)} if condition else {}),
    }


def trust(service: str, *, session_tags: bool = False, equals: Mapping[str, str] | None = None) -> str:
    """Who may assume a role: one AWS service. `equals`: what a request must carry, by condition key."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["sts:AssumeRole", *(["sts:TagSession"] if session_tags else [])],
        **({"Condition": {"StringEquals": dict(equals)}} if equals else {}),
    }
    return document(statement)


def account_root(account: str) -> str:
    """The principal by which a policy of a resource trusts another account; that account's policies say the rest."""
    return f"arn:aws:iam::{account}:root"
