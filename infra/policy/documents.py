"""IAM's policy documents, of which a statement can be written in several ways, as one."""

import json
from collections.abc import Iterator
from typing import Any

from policy.resources import Resource, has_unknown
from policy.rule import Finding, Undecided, Verdict

Statement = dict[str, Any]


def statements(resource: Resource, *path: str | int) -> tuple[list[Statement], list[Verdict]]:
    """The statements of the document at a path, or why there are none to judge. Without a document: neither."""
    key = ".".join(str(part) for part in path)
    found = resource.value(*path)
    if found is None:
        return [], []
    if has_unknown(found):
        return [], [Undecided(resource, key)]
    try:
        document = json.loads(found) if isinstance(found, str) else found
        listed = document["Statement"]
    except (ValueError, KeyError, TypeError):
        return [], [Finding(resource, key, "is no policy document", "write JSON with a Statement")]
    several = listed if isinstance(listed, list) else [listed]
    if not all(isinstance(item, dict) for item in several):
        return [], [Finding(resource, key, "has a statement that is no object", "write each with Effect and Action")]
    return several, []


def allowed(found: list[Statement]) -> Iterator[Statement]:
    """Those that grant something. What is no Deny counts, however it is written."""
    return (item for item in found if item.get("Effect") != "Deny")


def items(value: Any) -> list[Any]:
    """One value or a list of them, as a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def principals(statement: Statement) -> list[str]:
    """Whom a statement is about: `*`, ARNs, services and the like."""
    found = statement.get("Principal")
    values = found.values() if isinstance(found, dict) else [found]
    return [str(one) for value in values for one in items(value)]


def sid(statement: Statement) -> str:
    """How messages call a statement."""
    return f"statement {statement['Sid']}" if statement.get("Sid") else "a statement without Sid"
