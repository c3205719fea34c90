"""Reads the engine's own record of a run (`pulumi preview --event-log FILE`) into a plan.

The record holds what `--json` leaves out: policy results, and for each replacement the properties that cause it. It is
one JSON document a line (`EngineEvent` in github.com/pulumi/pulumi/sdk/v3/go/common/apitype/events.go).
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ci.plan import MOST_NAME, MOST_PATHS, MOST_STEPS, MOST_TEXT, Action, Level, Plan, Step, Violation

# The steps that stand for a change. A replacement has several, of which the first to be tried says enough.
ACTIONS: dict[str, Action] = {
    "create": "create",
    "import": "create",
    "update": "update",
    "create-replacement": "replace",
    "replace": "replace",
    "import-replacement": "replace",
    "delete": "delete",
}
COLOUR = re.compile(r"<\{%[^%]*%\}>")
# How the engine words a refused property: with its value.
VALUE = re.compile(r"(property \S+) value \{.*?\} (has a problem)", re.DOTALL)
# How the language host introduces what a program raised.
PREAMBLES = ("an unhandled error occurred: ", "python inline source runtime error: ")
TRACEBACK = "Traceback (most recent call last)"
MOST_VIOLATIONS = 200


def plan(lines: Iterable[str], failure: str = "") -> Plan:
    """The plan that a record describes.

    Args:
        lines: the record's lines; one that a killed run left half is skipped.
        failure: what to say where the run failed and the record has no reason; empty where it ended well.
    """
    events = list(_events(lines))
    found = [step for event in events if (step := _step(event.get("resourcePreEvent") or {}))]
    steps = list({(step.urn, step.action): step for step in found}.values())
    violations = [one for event in events if (one := _violation(event.get("policyEvent") or {}))]
    summary: dict[str, Any] = next((event["summaryEvent"] for event in events if event.get("summaryEvent")), {})
    policies = {
        name
        for event in events
        for kind in ("policyAnalyzeSummaryEvent", "policyAnalyzeStackSummaryEvent")
        for name in [*((event.get(kind) or {}).get("passed") or []), *((event.get(kind) or {}).get("failed") or [])]
    }
    return Plan(
        steps=steps[:MOST_STEPS],
        more=max(len(steps) - MOST_STEPS, 0),
        unchanged=int((summary.get("resourceChanges") or {}).get("same", 0)),
        policies=[_cut(name, MOST_NAME) for name in sorted(policies)][:MOST_VIOLATIONS],
        violations=violations[:MOST_VIOLATIONS],
        error=_cut(_reason(events, violations) or failure, MOST_TEXT) if failure else "",
    )


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _step(event: dict[str, Any]) -> Step | None:
    metadata = event.get("metadata") or {}
    action = ACTIONS.get(metadata.get("op", ""))
    if action is None:
        return None
    detailed: dict[str, Any] = metadata.get("detailedDiff") or {}
    causes = {path for path, diff in detailed.items() if str(diff.get("diffKind", "")).endswith("-replace")}
    causes |= set(metadata.get("keys") or []) if action == "replace" and not causes else set()
    changed = set(detailed) or set(metadata.get("diffs") or [])
    return Step(
        action=action,
        urn=_cut(str(metadata.get("urn", "")), MOST_NAME),
        causes=_paths(causes if action == "replace" else set()),
        changed=_paths(changed - causes if action in ("update", "replace") else set()),
    )


def _paths(found: Iterable[str]) -> list[str]:
    return [_cut(path, MOST_NAME) for path in sorted(found)][:MOST_PATHS]


def _violation(event: dict[str, Any]) -> Violation | None:
    if not event:
        return None
    level: Level = "mandatory" if event.get("enforcementLevel") == "mandatory" else "advisory"
    return Violation(
        policy=_cut(str(event.get("policyName", "")), MOST_NAME),
        level=level,
        urn=_cut(str(event.get("resourceUrn", "")), MOST_NAME),
        message=_cut(plain(str(event.get("message", ""))), MOST_TEXT),
    )


def _reason(events: list[dict[str, Any]], violations: list[Violation]) -> str:
    """What the engine, the program or a provider complained about; a program's traceback is cut to its last line."""
    said = [
        plain(str(found.get("message", "")))
        for event in events
        if (found := event.get("diagnosticEvent")) and found.get("severity") == "error" and not found.get("ephemeral")
    ]
    # A violation is reported on by itself; that it failed the run is no news.
    policies = {found.policy for found in violations}
    said = [text for text in said if not any(policy in text for policy in policies)]
    reasons = list(dict.fromkeys(text for message in said if (text := without_traceback(message))))
    # What the engine says of every failure.
    telling = [text for text in reasons if text not in ("preview failed", "update failed")]
    return "\n".join(telling or reasons)


def plain(text: str) -> str:
    """Without the engine's colour marks, and without property values, which may be secrets."""
    text = VALUE.sub(r"\1 \2", COLOUR.sub("", text)).strip()
    for words in PREAMBLES:
        text = text.removeprefix(words)
    return text


def without_traceback(text: str) -> str:
    """A message without Python's tracebacks: what remains of each is the exception."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        before, found, _ = line.partition(TRACEBACK)
        if found:
            inside = True
            kept += [before] if before.strip() else []
        elif not inside or (line.strip() and not line[0].isspace()):
            inside = False
            kept.append(line)
    return "\n".join(kept).strip()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
