"""What becomes of a pull request: a pure function of what main measured, what main allows, and what was changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mlplatform.evaluation.declaration import Kind, Metric
from mlplatform.evaluation.result import Evaluation, Measured, Refused
from mlplatform.evaluation.scope import Ask, Scope

WAITS = "main has not "
"""So begins what a verdict says as long as it waits for main's code."""
UNMEASURED = f"{WAITS}measured the model yet"
UNCOMPARED = f"{WAITS}compared the new test set with its own yet"
UNSEARCHED = f"{WAITS}looked for its test rows in the training data yet"

# With such a change, main's numbers say little of how the model will do: they are shown, but an owner decides.
BEYOND_MEASURING = frozenset({Kind.CONTRACT, Kind.SERVICE, Kind.EVALUATOR, Kind.TEST_SET})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status and its sentences. `summary` is the one for the status; `reasons` are all that speak against it."""

    state: Literal["success", "failure", "pending"]
    summary: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number for the comment, and whose code came to it."""

    name: str
    main: float | None
    candidate: float | None
    source: Literal["measured by main", "reported by the run"]


def judge(
    evaluation: Evaluation | None,
    rules: Mapping[str, Metric],
    scope: Scope,
    *,
    problems: Sequence[str] = (),
    leaked: Mapping[str, int] | None = None,
    waits: Sequence[str] = (),
) -> Verdict:
    """Judge a pull request. Whether an owner approved is not asked here: who merges looks for that (docs/adr/0020).

    Args:
        evaluation: what main measured, `None` while it has not.
        rules: main's `metrics`.
        scope: what the pull request changes.
        problems: whatever else speaks against it; any fails.
        leaked: how many rows of the test set each file of its training data shows; any fails.
        waits: what main's code has yet to look at besides, such as `UNCOMPARED`.
    """
    asks = [str(ask) for ask in scope.owner]
    failures = [*problems, *scope.refused]
    notes: list[str] = []
    for file, count in (leaked or {}).items():
        rows = "row" if count == 1 else "rows"
        failures.append(f"{file} shows {count} {rows} of the test set, on which no model may train: take them out")
    if evaluation is not None:
        candidate, baseline = evaluation.candidate, evaluation.baseline
        if isinstance(candidate, Refused) and candidate.cause == "contract":
            asks.append(str(Ask("the model", Kind.CONTRACT, candidate.refused)))
        elif isinstance(candidate, Refused):
            failures.append(f"the model was refused: {candidate.refused}")
        elif baseline is None:
            failures += below_limits(candidate, rules)
            notes.append(f"no baseline; {_headline(None, candidate, rules)}")
        elif isinstance(baseline, Measured):
            worse = _worse(baseline, candidate, rules)
            decided_by_owner = any(ask.kind in BEYOND_MEASURING for ask in scope.owner)
            (notes if decided_by_owner else failures).extend(worse)
            notes.append(_headline(baseline, candidate, rules))
        if baseline is None:
            asks.append("no baseline: main has no model to compare with: an owner's approval is asked")
        elif isinstance(baseline, Refused):
            asks.append(f"main's own model was not measured: {baseline.refused}: an owner's approval is asked")
    if failures:
        return Verdict("failure", failures[0], (*failures, *asks))
    waits = [*([UNMEASURED] if evaluation is None else []), *waits]
    if waits:
        sentences = (f"{one}: this comment is then written anew" for one in waits)
        return Verdict("pending", waits[0], (*sentences, *asks))
    if asks:
        return Verdict("pending", asks[0], (*asks, *notes))
    return Verdict("success", notes[-1])


def unmeasured(scope: Scope) -> Verdict | None:
    """Judge a change that brings no model to measure; `None` where it is nothing to the gate."""
    asks = tuple(str(ask) for ask in scope.owner)
    if scope.refused:
        return Verdict("failure", scope.refused[0], (*scope.refused, *asks))
    return Verdict("pending", asks[0], asks) if asks else None


def below_limits(measured: Measured, rules: Mapping[str, Metric]) -> list[str]:
    """A sentence for each of main's absolute limits that a model does not meet; a first model has to meet them all."""
    return [
        f"{name} {measured.metrics[name]:.4f} does not reach main's limit of {metric.limit:g}"
        for name, metric in rules.items()
        if metric.limit is not None and not metric.reaches_limit(measured.metrics[name])
    ]


def numbers(evaluation: Evaluation | None, reported: Mapping[str, float] | None = None) -> list[Number]:
    """All numbers for the comment: those that main measured first, then those that only the run says."""
    found = []
    if evaluation is not None:
        main, candidate = (
            side.metrics if isinstance(side, Measured) else {} for side in (evaluation.baseline, evaluation.candidate)
        )
        for name in sorted(main.keys() | candidate.keys()):
            found.append(Number(name, main.get(name), candidate.get(name), "measured by main"))
    for name, value in sorted((reported or {}).items()):
        found.append(Number(name, None, value, "reported by the run"))
    return found


def _worse(baseline: Measured, candidate: Measured, rules: Mapping[str, Metric]) -> list[str]:
    found = []
    for name, metric in rules.items():
        old, new = baseline.metrics[name], candidate.metrics[name]
        if metric.tolerance is not None and metric.worse_by(old, new) > metric.tolerance:
            verb = "fall" if metric.better == "higher" else "rise"
            found.append(f"{_pair(name, old, new)}: it may {verb} by {metric.tolerance:g} at most")
    return found


def _headline(baseline: Measured | None, candidate: Measured, rules: Mapping[str, Metric]) -> str:
    """The first number that is judged."""
    name = next((name for name, metric in rules.items() if metric.tolerance is not None), next(iter(rules)))
    if baseline is None:
        return f"{name} {candidate.metrics[name]:.4f}"
    return _pair(name, baseline.metrics[name], candidate.metrics[name])


def _pair(name: str, old: float, new: float) -> str:
    return f"{name} {new:.4f}, main {old:.4f} ({round(new - old, 9):+.4f})"
