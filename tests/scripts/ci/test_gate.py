"""The quality gate's table of verdicts."""

import pytest

from ci.gate import judge
from ci.metrics import Metrics


def measured(accuracy: float) -> Metrics:
    return Metrics({"accuracy": accuracy})


@pytest.mark.parametrize(
    ("baseline", "candidate", "tolerance", "passed", "summary"),
    [
        (0.98, 0.98, 0.0, True, "accuracy 0.9800, main 0.9800 (+0.0000)"),
        (0.98, 0.99, 0.0, True, "accuracy 0.9900, main 0.9800 (+0.0100)"),
        (0.98, 0.975, 0.005, True, "accuracy 0.9750, main 0.9800 (-0.0050)"),
        (0.98, 0.9749, 0.005, False, "accuracy 0.9749, main 0.9800 (-0.0051): it may fall by 0.005 at most"),
        (0.98, 0.9799, 0.0, False, "accuracy 0.9799, main 0.9800 (-0.0001): it may fall by 0 at most"),
        (None, 0.1, 0.0, True, "accuracy 0.1000; main has no model yet"),
        (0.98, None, 1.0, False, "there are no metrics"),
        (None, None, 1.0, False, "there are no metrics"),
    ],
)
def test_verdict(baseline: float | None, candidate: float | None, tolerance: float, passed: bool, summary: str) -> None:
    verdict = judge(
        None if baseline is None else measured(baseline), None if candidate is None else measured(candidate), tolerance
    )

    assert (verdict.passed, verdict.summary) == (passed, summary)


@pytest.mark.parametrize("baseline", [None, measured(0.5)])
def test_any_problem_fails_even_a_better_model(baseline: Metrics | None) -> None:
    verdict = judge(baseline, measured(1.0), 1.0, ["the lock is not fresh", "the model was never pushed"])

    assert not verdict.passed
    assert verdict.summary == "the lock is not fresh"
    assert verdict.reasons == ("the lock is not fresh", "the model was never pushed")


def test_a_problem_explains_missing_metrics() -> None:
    verdict = judge(measured(0.5), None, 1.0, ["ml/metrics.json: accuracy is missing"])

    assert verdict.reasons == ("ml/metrics.json: accuracy is missing",)
