"""Trust classes, from contexts shaped as the forge sends them."""

from typing import Any

import pytest

from runner_controller.trust import Trust, classify

SAME = {"head": {"repo_id": 1, "label": "feature"}, "base": {"repo_id": 1, "label": "main"}}
FORK = {"head": {"repo_id": 7, "label": "feature"}, "base": {"repo_id": 1, "label": "main"}}


def context(event_name: str, ref: str, **event: Any) -> dict[str, Any]:
    return {"repository": "ml/platform", "event_name": event_name, "ref": ref, "event": event}


def judged(context: dict[str, Any]) -> Trust:
    return classify(context, "ml/platform", "refs/heads/main").trust


@pytest.mark.parametrize("event", ["push", "schedule", "workflow_dispatch", "workflow_run", "pull_request_target"])
def test_main_defines_trusted_jobs(event: str) -> None:
    assert judged(context(event, "refs/heads/main")) is Trust.TRUSTED


@pytest.mark.parametrize("event", ["push", "workflow_run"])
def test_s5_what_measures_is_a_class_of_its_own_where_main_defines_it(event: str) -> None:
    measures = {"workflow": "evaluate.yml"}
    assert judged(context(event, "refs/heads/main") | measures) is Trust.EVALUATION
    assert judged(context(event, "refs/heads/feature") | measures) is Trust.UNTRUSTED
    assert judged(context("pull_request", "refs/pull/1/head", pull_request=SAME) | measures) is Trust.UNTRUSTED


def test_pull_request_target_of_a_fork_runs_mains_code() -> None:
    assert judged(context("pull_request_target", "refs/heads/main", pull_request=FORK)) is Trust.TRUSTED


@pytest.mark.parametrize(
    ("event", "ref"),
    [
        ("push", "refs/heads/feature"),
        ("push", "refs/tags/main"),
        ("push", "main"),
        ("push", "refs/heads/main/"),
        ("workflow_dispatch", "refs/heads/feature"),
        ("issue_comment", "refs/heads/main"),
        ("release", "refs/tags/v1"),
        ("", ""),
    ],
)
def test_other_definitions_are_not_trusted(event: str, ref: str) -> None:
    assert judged(context(event, ref)) is Trust.UNTRUSTED


@pytest.mark.parametrize("event", ["pull_request", "pull_request_review"])
def test_branch_of_this_repository_is_untrusted(event: str) -> None:
    assert judged(context(event, "refs/pull/1/head", pull_request=SAME)) is Trust.UNTRUSTED


def test_s19_what_a_branch_defines_for_another_ones_head_never_runs() -> None:
    """The forge would record it as a run of that head, under a name of the branch's choice."""
    for ref in ("refs/heads/other", "refs/heads/main2", ""):
        assert judged(context("pull_request_target", ref, pull_request=SAME)) is Trust.REFUSED


@pytest.mark.parametrize(
    "pull_request",
    [
        FORK,
        # AGit: pushed to refs/for/main, which readers may.
        {"head": {"repo_id": 1, "label": ""}, "base": {"repo_id": 1}},
        # The fork was deleted.
        {"head": {"repo_id": -1, "label": "feature"}, "base": {"repo_id": 1}},
        {"head": {"repo_id": -1, "label": "feature"}, "base": {"repo_id": -1}},
        {"head": {"label": "feature"}, "base": {}},
        {"head": None, "base": {"repo_id": 1}},
        {},
        "forged",
    ],
)
def test_what_is_not_plainly_a_branch_of_this_repository_is_refused(pull_request: Any) -> None:
    assert judged(context("pull_request", "refs/pull/1/head", pull_request=pull_request)) is Trust.REFUSED
    assert judged(context("pull_request_target", "refs/heads/other", pull_request=pull_request)) is Trust.REFUSED


def test_pull_request_without_its_event_is_refused() -> None:
    assert judged(context("pull_request", "refs/pull/1/head")) is Trust.REFUSED
    assert judged(context("pull_request", "refs/pull/1/head") | {"event": None}) is Trust.REFUSED


def test_other_repository_is_refused_even_on_its_main() -> None:
    other = context("push", "refs/heads/main") | {"repository": "member/platform"}
    verdict = classify(other, "ml/platform", "refs/heads/main")
    assert verdict.trust is Trust.REFUSED
    assert verdict.reason == "this runner serves ml/platform only, and the job belongs to member/platform"
    assert judged(context("push", "refs/heads/main") | {"repository": "ML/Platform"}) is Trust.TRUSTED
    assert judged({}) is Trust.REFUSED
