"""The loop: from a changed parameter to a served prediction, twice, the second time from an awkward clone."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import health, loop
from live import Platform, eventually
from mlplatform import pin
from mlplatform.pin import Pin
from mlplatform.pulls import verdict
from settings import ROOT

Report = dict[str, Any]


@pytest.fixture(scope="module")
def demo(live: Platform, tmp_path_factory: pytest.TempPathFactory, checkout_state: Callable[[Path], str]) -> Report:
    """The report of scripts/demo, run in this checkout."""
    file = tmp_path_factory.mktemp("demo") / "report.json"
    before = checkout_state(ROOT)
    live.verb("demo", "--report", str(file))
    assert checkout_state(ROOT) == before
    document: Report = json.loads(file.read_text())
    return document


@pytest.fixture(scope="module")
def second(
    demo: Report, live: Platform, tmp_path_factory: pytest.TempPathFactory, checkout_state: Callable[[Path], str]
) -> Report:
    """The report of a second demo, from a shallow, detached and dirty clone of this checkout; it goes on to staging."""
    folder = tmp_path_factory.mktemp("second")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--detach"], check=True)
    (clone / "README.md").write_text("dirty\n")
    (clone / "untracked").write_text("dirty\n")
    before = checkout_state(clone)
    live.verb("demo", "--to", "staging", "--report", str(folder / "report.json"), root=clone)
    assert checkout_state(clone) == before
    document: Report = json.loads((folder / "report.json").read_text())
    return document


def test_the_report_has_every_step_with_its_time(demo: Report) -> None:
    names = [step["name"] for step in demo["steps"]]
    assert names[-8:] == ["propose", "train", "report", "merge", "release", "deploy", "sync", "predict"]
    assert all(step["seconds"] >= 0 for step in demo["steps"])
    assert set(demo) >= {"steps", "pull_requests", "image", "metrics", "prediction", "urls"}


def test_both_pull_requests_are_merged(demo: Report, live: Platform) -> None:
    assert [pull["merged"] for pull in demo["pull_requests"]] == [True, True]
    training, deployment = (live.member.pull_request(pull["number"]) for pull in demo["pull_requests"])
    assert (training.author, deployment.author) == (live.proposer, loop.PROPOSER)
    for pull in (training, deployment):
        status = live.member.status(pull.head_sha, loop.GATE, loop.BOT)
        assert status
        # A first model has nothing to be compared with.
        assert status.state == "success" or verdict.asks_an_owner(status.state, status.description)
        # Neither changes what the repository checks of itself, so neither waits for that.
        checked = live.member.status(pull.head_sha, "ci", loop.BOT)
        assert checked
        assert checked.state == "success"
        assert not [run for run in live.member.workflow_runs(pull.head_sha) if run.workflow == "ci.yml"]


def test_the_bot_wrote_one_report_with_tables_and_charts(demo: Report, live: Platform) -> None:
    comments = live.member.comments(demo["pull_requests"][0]["number"])
    reports = [one for one in comments if one.author == loop.BOT]
    assert len(reports) == 1
    assert re.search("Quality gate: (passed|an owner decides)", reports[0].body)
    assert "Measured by main's code, on main's test set" in reports[0].body
    assert "accuracy" in reports[0].body.lower()
    assert "```mermaid" in reports[0].body
    assert "| " in reports[0].body


def test_the_bot_committed_the_lock_to_the_branch(demo: Report, live: Platform) -> None:
    number = demo["pull_requests"][0]["number"]
    assert {loop.PARAMS, "ml/dvc.lock"} <= set(live.member.changed_files(number))


def test_metrics_of_main_and_of_the_candidate_are_reported(demo: Report) -> None:
    assert demo["metrics"]["candidate"]["accuracy"] > 0.9
    assert demo["metrics"]["baseline"] is None or demo["metrics"]["baseline"]["accuracy"] > 0.9


def test_the_held_out_digit_is_recognised(demo: Report) -> None:
    prediction = demo["prediction"]
    assert prediction["label"] == prediction["expected"]
    assert 0 < prediction["probability"] <= 1


def test_the_first_push_started_no_workflow(demo: Report, live: Platform) -> None:
    pushed = json.loads((live.paths.state / "first-push.json").read_text())["commit"]
    # Runs that report on a pull request name the commit that main was at, too.
    assert [run for run in live.member.workflow_runs(pushed) if run.event == "push"] == []


def test_no_job_pod_is_left(second: Report, live: Platform) -> None:
    # Main's own release of the last merge may still be running.
    eventually(lambda: True if live.job_pods() == [] else None, 300, "the end of every job pod")


def test_a_second_demo_reuses_the_platform_and_changes_something_else(demo: Report, second: Report) -> None:
    assert "host" not in [step["name"] for step in second["steps"]]
    first_titles = {pull["title"] for pull in demo["pull_requests"]}
    assert first_titles.isdisjoint(pull["title"] for pull in second["pull_requests"])
    assert second["image"]["digest"] != demo["image"]["digest"]


def test_what_runs_is_what_main_says(second: Report, live: Platform) -> None:
    overlay = f"apps/{loop.APP}/overlays/{live.stage}/kustomization.yaml"
    content = yaml.safe_load(live.member.read_file(overlay, loop.MAIN) or b"")
    assert content["images"] == [{"name": loop.APP, "digest": second["image"]["digest"]}]
    assert second["image"]["reference"] == f"{live.cluster.registry.host}/{loop.APP}@{second['image']['digest']}"
    assert loop.ready_pods(live.kubectl, live.stage, second["image"]["digest"])


def test_the_release_is_promoted_by_a_pull_request_of_the_platform(second: Report, live: Platform) -> None:
    assert second["steps"][-1]["name"] == "staging"
    promotion = live.member.pull_request(second["pull_requests"][-1]["number"])
    assert (promotion.author, promotion.merged) == (loop.PROPOSER, True)
    assert live.member.changed_files(promotion.number) == [pin.path(loop.APP, "staging")]
    pinned = pin.parse(live.member.read_file(pin.path(loop.APP, "staging"), loop.MAIN) or b"")
    assert pinned.images == {loop.APP: second["image"]["digest"]}
    (found,) = [one for one in live.status()["applications"] if one["name"] == f"{loop.APP}-staging"]
    assert (found["sync"], found["health"], found["revision"]) == ("Synced", "Healthy", pinned.revision)
    assert loop.ready_pods(live.kubectl, "staging", second["image"]["digest"])


def test_what_runs_there_already_is_not_promoted_again(second: Report, live: Platform) -> None:
    live.verb("promote", loop.APP, "--to", "staging", status=2)


def test_a_pin_of_what_the_environment_before_does_not_run_is_refused(second: Report, live: Platform) -> None:
    """By whoever writes it."""
    number = second["pull_requests"][-1]["number"]
    other = Pin(live.member.pull_request(number).merge_sha, {loop.APP: f"sha256:{'0' * 64}"})
    pull = live.propose("Pin prod", lambda _: other.document().decode(), pin.path(loop.APP, "prod"))
    try:
        state, description = live.gate(pull)
        assert state == "failure"
        assert "staging does not run this release" in description
    finally:
        live.drop(pull)


def test_status_shows_the_deployment_in_sync_and_healthy(second: Report, live: Platform) -> None:
    status = live.status()
    (found,) = [one for one in status["applications"] if one["name"] == f"{loop.APP}-{live.stage}"]
    assert (found["sync"], found["health"]) == ("Synced", "Healthy")
    assert any(second["image"]["digest"] in image for image in found["images"])
    assert found["url"].startswith("http://")
    assert status["ok"]


def test_the_models_page_opens(second: Report) -> None:
    assert "<html" in health.content(second["urls"]["swagger"]).lower()
