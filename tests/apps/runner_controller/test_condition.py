"""What of a job's `if` the controller decides by itself; the rest it leaves to act."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner_controller.condition import is_false

ROOT = Path(__file__).resolve().parents[3]
GITHUB: dict[str, Any] = {
    "actor": "ml-bot",
    "event_name": "workflow_run",
    "repository": "ml/platform",
    "run_attempt": "1",
    "event": {
        "workflow_run": {"event": "pull_request", "conclusion": "success", "Name": "train", "jobs": []},
        "pull_request": {"number": 7, "draft": False, "head": {"repo": {"full_name": "ML/platform"}}, "body": ""},
    },
}


@pytest.mark.parametrize(
    "condition",
    [
        False,
        "false",
        "null",
        "''",
        "0",
        "${{ false }}",
        "  !true ",
        "github.event_name == 'push'",
        "github.actor != 'ML-BOT'",
        "github.event.nothing.at.all",
        "github.event.pull_request.draft",
        "github.event.pull_request.body",
        "github.event.pull_request.number == '8'",
        "github.event.pull_request.number != 7",
        "github['event']['workflow_run']['event'] == 'push'",
        "github.event_name != 'workflow_run' || github.event.workflow_run.event == 'push'",
        "true && (github.actor == 'a' || github.actor == 'b')",
        "startsWith(github.event_name, 'pull') || endsWith(github.repository, '/other')",
        "!contains(github.repository, 'PLAT')",
        "github.event.workflow_run.event == 'it''s'",
        "!(!(false))",
        "github.event.nothing == 'a'",
        "!!github.event.nothing",
        "startsWith(github.event.nothing, 'a')",
    ],
)
def test_what_is_false_is_known(condition: Any) -> None:
    assert is_false(condition, GITHUB)


@pytest.mark.parametrize(
    "condition",
    [
        None,
        "",
        True,
        1,
        "true",
        "'a'",
        "-1",
        "github.event_name == 'workflow_run'",
        "github.event.pull_request.head.repo.full_name == github.repository",
        "github.event.workflow_run.name == 'train' && github.run_attempt == 1",
        "github.event.nothing == ''",
        "github.event.nothing == null",
        "github.event.nothing == false",
        "!github.event.pull_request.draft",
        "startsWith(github.event.workflow_run.event, 'pull_request')",
        "github.event.nothing || 'default'",
        "github.event.pull_request.head",
        "github.event.workflow_run.jobs",
    ],
)
def test_what_is_true_is_not_false(condition: Any) -> None:
    assert not is_false(condition, GITHUB)


@pytest.mark.parametrize(
    "condition",
    [
        "always() && false",
        "failure() || false",
        "needs.build.result == 'failure'",
        "vars.NONE",
        "secrets.NONE == 'a'",
        "env.NONE",
        "github.event.pull_request.number > 8",
        "github.event.workflow_run.jobs == 'a'",
        "contains(github.event.workflow_run.jobs, 'a')",
        "fromJSON('false')",
        "github.event.*.number == 8",
        "github.event.",
        "github.event[7]",
        "false false",
        "(false",
        "false)",
        "== 'a'",
        "'open",
        '"double" == "other"',
        "false # why",
        "${{ false }} and more",
        "False",
        "0x0",
        "github.event.nothing != '0x0'",
        "0 != '0_0'",
        "1000 != '1e3'",
        "contains('a')",
        "(" * 100 + "false" + ")" * 100,
        "false" + " || false" * 1000,
        ["false"],
    ],
)
def test_all_else_is_left_to_act(condition: Any) -> None:
    assert not is_false(condition, GITHUB)


def condition_of(name: str) -> str:
    [job] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())["jobs"].values()
    found: str = job["if"]
    return found


def ended(conclusion: str, actor: str, event: str = "workflow_run") -> dict[str, Any]:
    run = {"event": event, "conclusion": conclusion, "actor": {"login": actor}}
    return {"event_name": "workflow_run", "event": {"workflow_run": run}}


def pushed(actor: str) -> dict[str, Any]:
    pull_request = {"head": {"repo": {"full_name": "ml/platform"}}}
    names = {"event_name": "pull_request", "actor": actor, "repository": "ml/platform"}
    return {**names, "event": {"pull_request": pull_request}}


@pytest.mark.parametrize(
    ("workflow", "github", "skipped"),
    [
        ("train", pushed("alice"), False),
        ("train", pushed("ml-merge"), False),
        ("train", pushed("ml-bot"), True),
        ("train", {**pushed("alice"), "repository": "ml/other"}, True),
        ("evaluate", ended("success", "alice", "pull_request"), False),
        ("evaluate", ended("failure", "alice", "pull_request"), False),
        ("evaluate", ended("skipped", "ml-bot", "pull_request_sync"), True),
        ("evaluate", {"event_name": "push", "event": {}}, False),
        ("evaluate", {"event_name": "schedule", "event": {}}, False),
        ("report", {"event_name": "pull_request_target", "event": {"pull_request": {}}}, False),
        ("report", ended("success", "alice", "pull_request_sync"), False),
        ("report", ended("success", "alice"), False),
        ("report", ended("skipped", "ml-bot", "pull_request_sync"), True),
        ("report", ended("skipped", "ml-bot"), True),
        # The branch's own doing, of which people are told.
        ("report", ended("skipped", "alice", "pull_request"), False),
        ("report", ended("success", "alice", "workflow_dispatch"), True),
        ("release", ended("success", "alice"), True),
        ("release", ended("success", "ml-merge", "push"), False),
        ("release", {"event_name": "push", "event": {}}, False),
    ],
)
def test_the_platforms_own_conditions_need_no_pod(workflow: str, github: dict[str, Any], skipped: bool) -> None:
    condition = condition_of(workflow)
    # Either is known: nothing is left to act.
    assert (is_false(condition, github), is_false(f"!({condition})", github)) == (skipped, not skipped)
