"""The quality gate: a pure function of what main has, what the pull request brings and what main allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from ci.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a pull request may be merged. `summary` is one line; `reasons` are the sentences behind a refusal."""

    passed: bool
    summary: str
    reasons: tuple[str, ...] = ()


def judge(
    baseline: Metrics | None, candidate: Metrics | None, tolerance: float, problems: Sequence[str] = ()
) -> Verdict:
    """Judge a candidate against main.

    Args:
        baseline: main's metrics; `None` while main has none, and then any candidate with metrics passes.
        candidate: the pull request's metrics; `None` fails.
        tolerance: how far accuracy may fall, as a share: main's, never the pull request's.
        problems: whatever else speaks against the candidate, such as a stale lock; any fails.
    """
    reasons = list(problems)
    if candidate is None and not reasons:
        reasons.append("there are no metrics")
    if candidate is None:
        return Verdict(False, reasons[0], tuple(reasons))
    if baseline is None:
        summary = f"accuracy {candidate.accuracy:.4f}; main has no model yet"
        return Verdict(not reasons, reasons[0] if reasons else summary, tuple(reasons))
    # Rounded, or 0.98 - 0.975 would be more than 0.005.
    change = round(candidate.accuracy - baseline.accuracy, 9)
    summary = f"accuracy {candidate.accuracy:.4f}, main {baseline.accuracy:.4f} ({change:+.4f})"
    if change < -tolerance:
        reasons.append(f"{summary}: it may fall by {tolerance:g} at most")
    return Verdict(not reasons, reasons[0] if reasons else summary, tuple(reasons))
