"""The status `ci` from opening to judgement: real forge and events, main's planner; the jobs' own work is left out."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import forge
from mlplatform.evaluation.judgement import UNMEASURED
from settings import ROOT

pytestmark = pytest.mark.tools

Project = Any
FILE = ".github/workflows/ci.yml"
CI, REPORT, TRAIN = "ci.yml pull_request", "report.yml pull_request_target", "train.yml pull_request"
ENDED = "report.yml workflow_run"
NOTHING = ("success", "nothing of the repository's own code changed")


@pytest.fixture
def project(new_project: Callable[[Mapping[str, str]], Project]) -> Project:
    """A project whose main checks itself."""
    return new_project({FILE: (ROOT / FILE).read_text(), "apps/x/overlays/dev/kustomization.yaml": overlay("a")})


def overlay(letter: str) -> str:
    return f"resources: [../../base]\nimages:\n  - name: x\n    digest: sha256:{letter * 64}\n"


def waiting(project: Project, expected: str) -> dict[str, list[Any]]:
    """All that waits, by workflow and event, once what is expected does; training is no part of this."""
    found: dict[str, list[Any]] = {}
    while task := project.runner.take(3 if expected in found else 30):
        name = f"{task['context']['workflow']} {task['context']['event_name']}"
        after = task["context"]["event"].get("workflow_run") or {}
        if name == TRAIN or str(after.get("path")).startswith("train.yml@"):
            project.finish(task)
        else:
            found.setdefault(name, []).append(task)
    return found


def status(project: Project, sha: str) -> tuple[str, str]:
    found = project.member.status(sha, "ci", "bot")
    assert found, f"ci was never set on {sha}"
    return found.state, found.description


def report(project: Project) -> None:
    """Do the report that the end of the jobs starts."""
    [task] = waiting(project, ENDED)[ENDED]
    project.run(task)


def test_b6_a_head_is_checked_when_the_jobs_that_main_asks_for_have_passed(project: Project) -> None:
    pull = project.propose("code", {"infra/x.py": "x = 1\n"})
    found = waiting(project, REPORT)
    assert [task["context"]["workflow"] for task in found[CI]] == ["ci.yml"] * 3
    project.run(found[REPORT][0])
    assert status(project, pull.head_sha) == ("pending", "being checked: check, unit, render")

    for task in found[CI]:
        project.finish(task)
    report(project)
    assert status(project, pull.head_sha) == ("success", "passed: check, unit, render")

    # What follows changes nothing that a job looks at, so that the jobs that have passed count.
    head = project.push("code", {"ml/params.yaml": "other: 1\n"})
    found = waiting(project, REPORT)
    project.run(found[REPORT][0])
    assert status(project, head) == ("success", "passed: check, unit, render")
    for task in found[CI][:2]:
        project.finish(task)
    project.finish(found[CI][2], "FAILURE")
    report(project)
    state, text = status(project, head)
    assert state == "failure"
    assert text.endswith("failed: its log says why")

    # Of new code nothing has passed.
    head = project.push("code", {"infra/x.py": "x = 2\n"})
    project.run(waiting(project, REPORT)[REPORT][0])
    assert status(project, head)[0] == "pending"


def test_b6_what_trainings_and_deployments_change_starts_no_job_and_waits_for_none(project: Project) -> None:
    files = {"ml/params.yaml": "a: 1\n", "ml/new.dvc": "outs: []\n", "ml/plots/x.csv": "1\n"}
    pull = project.propose("training", {**files, "apps/x/overlays/dev/kustomization.yaml": overlay("b")})
    found = waiting(project, REPORT)
    assert list(found) == [REPORT]
    project.run(found[REPORT][0])
    assert status(project, pull.head_sha) == NOTHING

    # The gate judges it; who approves is the rules' matter.
    pull = project.propose("pin", {"apps/x/overlays/staging/release.yaml": "revision: main\n"})
    project.run(waiting(project, REPORT)[REPORT][0])
    assert status(project, pull.head_sha) == NOTHING

    pull = project.propose("patch", {"apps/x/overlays/dev/kustomization.yaml": overlay("b") + "patches: []\n"})
    found = waiting(project, REPORT)
    assert list(found) == [REPORT]
    project.run(found[REPORT][0])
    state, text = status(project, pull.head_sha)
    assert state == "pending"
    assert text == "main cannot judge apps/x/overlays/dev/kustomization.yaml: an owner's approval is asked"


@pytest.mark.parametrize(
    "path", ["apps/x/overlays/dev/kustomization.yaml", "apps/x/overlays/dev/patch.yaml"], ids=["overlay", "beside it"]
)
def test_s20_an_overlay_asks_for_an_owner_whatever_else_a_change_has_checked(project: Project, path: str) -> None:
    pull = project.propose("both", {path: overlay("b") + "patches: []\n", "README.md": "Another.\n"})
    found = waiting(project, REPORT)
    project.run(found[REPORT][0])
    assert status(project, pull.head_sha) == ("pending", "being checked: check, unit, render")
    for task in found[CI]:
        project.finish(task)
    report(project)
    asked = f"main cannot judge {path}: an owner's approval is asked"
    assert status(project, pull.head_sha) == ("pending", asked)


def test_b6_a_branch_cannot_take_a_job_away_unseen(project: Project) -> None:
    # One job that does nothing, under the name of one that is asked for.
    text = (ROOT / FILE).read_text()
    gutted = text.partition("\n  unit:")[0].replace("scripts/ci/checks check", "true") + "\n"
    pull = project.propose("gutted", {FILE: gutted, "infra/x.py": "x = 1\n"})
    found = waiting(project, REPORT)
    [check] = found[CI]
    project.finish(found[REPORT][0])
    project.finish(check)
    report(project)
    text = "ci.yml of this branch has no job unit, render: merge main into it"
    assert status(project, pull.head_sha) == ("failure", text)

    project.git("rm", "--quiet", FILE)
    head = project.push("gutted", {"infra/x.py": "x = 2\n"})
    project.run(waiting(project, REPORT)[REPORT][0])
    assert status(project, head) == ("failure", f"this branch has no {FILE}: merge main into it")


def test_s19_a_run_that_another_branch_defines_for_this_head_counts_nothing(project: Project) -> None:
    pull = project.propose("code", {"infra/x.py": "x = 1\n"})
    own = waiting(project, REPORT)
    evil = (ROOT / FILE).read_text().replace("  pull_request:\n    branches: [main]\n", "  pull_request_target:\n")
    project.propose("evil", {FILE: evil})
    for tasks in waiting(project, REPORT).values():
        for task in tasks:
            project.finish(task)
    project.member.create_pull_request("Into a branch", "", "code", "evil")
    forged = waiting(project, "ci.yml pull_request_target")["ci.yml pull_request_target"]
    assert len(forged) == 3
    for task in forged:
        project.finish(task)
    project.run(own[REPORT][0])
    assert status(project, pull.head_sha) == ("pending", "being checked: check, unit, render")


def test_b6_a_head_that_cannot_be_looked_at_stops_no_other(project: Project) -> None:
    """What the forge starts no job for needs none either, wherever it lies."""
    pull = project.propose("pointer", {"tests/x.dvc": "outs: []\n"})
    found = waiting(project, REPORT)
    project.run(found[REPORT][0])
    assert status(project, pull.head_sha) == NOTHING


def test_b6_an_earlier_head_that_needed_fewer_tests_says_nothing_of_what_main_has_won(project: Project) -> None:
    pull = project.propose("text", {"docs/a.md": "text\n"})
    found = waiting(project, REPORT)
    for tasks in found.values():
        for task in tasks:
            project.finish(task)
    other = project.propose("code", {"infra/y.py": "y = 1\n"})
    for tasks in waiting(project, REPORT).values():
        for task in tasks:
            project.finish(task)
    project.member.merge_pull_request(other.number, other.head_sha)
    while task := project.runner.take(3):
        project.finish(task)
    # Main is merged, and what it has won is taken back.
    project.git("fetch", "--quiet", "origin")
    project.git("checkout", "--quiet", "-B", "text", "origin/text")
    project.git("merge", "--quiet", "--strategy=ours", "--message=Merge", "origin/main")
    project.git("push", "--quiet", "origin", "text")
    head = project.git("rev-parse", "HEAD").strip()
    found = waiting(project, REPORT)
    project.run(found[REPORT][0])
    assert head != pull.head_sha
    assert status(project, head) == ("pending", "being checked: check, unit, render")


def test_s2_what_was_judged_before_main_had_checks_is_judged_anew_once_whatever_a_member_forged(
    project: Project,
) -> None:
    pull = project.propose("training", {"ml/params.yaml": "a: 1\n"})
    [opened] = waiting(project, REPORT)[REPORT]
    # As main's report did before.
    token = forge.Token(project.variables["BOT_TOKEN"])
    bot = forge.connect("gitea", project.variables["FORGE_URL"], project.name, token)
    bot.set_status(pull.head_sha, "quality-gate", "success", "accuracy 0.97")
    bot.close()
    project.finish(opened)
    # As if main had said something of its checks, and waited for nothing.
    project.member.set_status(pull.head_sha, "ci", "pending", "forged")
    sha = project.git("rev-parse", "origin/main")
    event = {"workflow_run": {"event": "push", "head_sha": sha, "id": 1}}
    context = {"workflow": "report.yml", "sha": sha, "event": event, "run_id": 1}
    project.run_again({"id": "main", "context": context})
    assert status(project, pull.head_sha) == NOTHING
    # As if main had yet to measure it, for ever.
    project.member.set_status(pull.head_sha, "quality-gate", "pending", UNMEASURED)
    assert "nothing to report" in project.run_again({"id": "again", "context": context})
