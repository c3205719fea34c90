"""Decides from a task's context whether its code is trusted, what it may hold, and whether it runs at all.

The text of a workflow never decides this: a pull request can change it. The forge's own record of the event does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

# Events whose workflow definition the forge reads from the branch in `github.ref`, never from a pull request's head.
_EVENTS_DEFINED_BY_REF = frozenset({"push", "schedule", "workflow_dispatch", "workflow_run", "pull_request_target"})


# The file whose jobs load a model that anybody made. A branch can change it only for its own, untrusted runs.
_EVALUATION = "evaluate.yml"


class Trust(Enum):
    """TRUSTED: defined by the protected branch. EVALUATION: defined by it, to work on what anybody made. UNTRUSTED: a
    member's branch. REFUSED: never runs here."""

    TRUSTED = "trusted"
    EVALUATION = "evaluation"
    UNTRUSTED = "untrusted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Verdict:
    """A trust class with the reason that people read in the job's log."""

    trust: Trust
    reason: str


def classify(context: Mapping[str, Any], repository: str, trusted_ref: str) -> Verdict:
    """Judge a task by its `github` context.

    `repository` (owner/name) is the only one served; `trusted_ref` (refs/heads/...) is its protected branch.
    A pull request counts as a fork's unless the forge says plainly that its head is a branch of the same repository.
    """
    origin = str(context.get("repository") or "")
    if origin.casefold() != repository.casefold():
        return Verdict(Trust.REFUSED, f"this runner serves {repository} only, and the job belongs to {origin or '?'}")
    event_name = str(context.get("event_name") or "")
    ref = str(context.get("ref") or "")
    if event_name in _EVENTS_DEFINED_BY_REF and ref == trusted_ref:
        if context.get("workflow") == _EVALUATION:
            return Verdict(Trust.EVALUATION, f"{event_name}: {trusted_ref} defines {_EVALUATION}, which gets no Secret")
        return Verdict(Trust.TRUSTED, f"{event_name}: the workflow is defined by {trusted_ref}")
    if reason := _refusal(context, event_name, ref, trusted_ref):
        return Verdict(Trust.REFUSED, reason)
    return Verdict(Trust.UNTRUSTED, f"{event_name or 'event'} on {ref or 'no ref'}: not defined by {trusted_ref}")


def _refusal(context: Mapping[str, Any], event_name: str, ref: str, trusted_ref: str) -> str:
    """Why what the protected branch does not define must not run, or nothing."""
    if event_name == "pull_request_target":
        return (
            f"{event_name} on {ref or 'no ref'}: only what {trusted_ref} defines runs so, for the forge records it as "
            "a run of the pull request's head"
        )
    event = context.get("event")
    pull_request = event.get("pull_request") if isinstance(event, Mapping) else None
    if pull_request is None and event_name.startswith("pull_request"):
        return f"{event_name}: the event does not say where the pull request comes from"
    if pull_request is not None and not _same_repository(pull_request):
        return (
            "the pull request comes from a fork, whose code never runs on this runner; "
            "a member can push the commits to a branch of this repository after reading them"
        )
    return ""


def _same_repository(pull_request: Any) -> bool:
    """True if the head is a branch of the base repository (an AGit pull request, open to readers, has no label)."""
    if not isinstance(pull_request, Mapping):
        return False
    head, base = pull_request.get("head"), pull_request.get("base")
    if not isinstance(head, Mapping) or not isinstance(base, Mapping):
        return False
    head_id, base_id = head.get("repo_id"), base.get("repo_id")
    known = isinstance(base_id, (int, float)) and base_id > 0
    return known and head_id == base_id and bool(head.get("label"))
