"""Says what IAM policies allow, by IAM's documented rules: a denial wins, and what nobody allows is denied.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. It knows the elements and
operators that the platform's policies use and refuses others, so that no statement is passed over in silence.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Context = Mapping[str, str | list[str]]


def permits(policies: Iterable[str], action: str, resource: str, context: Context, principal: str = "") -> bool:
    """Whether policies (JSON) allow an action on a resource. `context`: the request's condition keys.

    Policies of a role are asked without a principal, policies of a bucket or key with one.
    """
    statements = [one for policy in policies for one in json.loads(policy)["Statement"]]
    effects = {one["Effect"] for one in statements if _applies(one, action, resource, context, principal)}
    return effects == {"Allow"}


def _applies(statement: dict[str, Any], action: str, resource: str, context: Context, principal: str) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}
    assert not unknown, f"the simulator does not know {unknown}"
    assert ("Principal" in statement) == bool(principal), "a policy of a resource is asked with a principal"
    if principal and statement["Principal"] not in ("*", {"AWS": [principal]}):
        return False
    return (
        any(_like(pattern.casefold(), action.casefold()) for pattern in _list(statement["Action"]))
        and any(_like(pattern, resource) for pattern in _list(statement["Resource"]))
        and all(
            _OPERATORS[operator](_list(wanted), context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _equal(wanted: list[str], value: Any) -> bool:
    return isinstance(value, str) and value in wanted


def _matches(wanted: list[str], value: Any) -> bool:
    return isinstance(value, str) and any(_like(pattern, value) for pattern in wanted)


_OPERATORS: dict[str, Callable[[list[str], Any], bool]] = {
    "ArnEquals": _matches,
    "ArnLike": _matches,
    "Bool": lambda wanted, value: isinstance(value, str) and value in wanted,
    "ForAnyValue:StringEquals": lambda wanted, value: bool(set(wanted) & set(_list(value or []))),
    "Null": lambda wanted, value: str(value is None).lower() in wanted,
    "StringEquals": _equal,
    "StringLikeIfExists": lambda wanted, value: value is None or _matches(wanted, value),
    # A negated operator is true of what is not there.
    "StringNotEquals": lambda wanted, value: not _equal(wanted, value),
}


def _like(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text, re.DOTALL) is not None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
