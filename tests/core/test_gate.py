"""The gate refuses what it must, and cannot be talked out of it by the pull request itself."""

import hashlib
import json
import re
from collections.abc import Iterator

import pytest
import yaml

from cli import loop
from digits import propose
from forge import ForgeError, PullRequest
from live import Platform, eventually

LOCK = "ml/dvc.lock"
RULES = "ml/evaluation.yaml"


def worse(text: str) -> str:
    return propose.rewrite(text, propose.worse(yaml.safe_load(text)))


@pytest.fixture(scope="module")
def pulls(live: Platform) -> Iterator[dict[str, PullRequest]]:
    """All of them opened at once, so that one waits while the other trains."""
    opened = {
        "worse": live.propose("Train worse", worse),
        "loosened": live.propose("Train worse and loosen the gate", worse),
        "broken": live.propose("Mistype a key", lambda text: text.replace("learning_rate:", "learning_rat:")),
        "docs": live.propose("Say more", lambda text: f"{text}\nMore.\n", "LICENSE"),
    }
    rules = (live.member.read_file(RULES, loop.MAIN) or b"").decode()
    loosened = re.sub("tolerance: [0-9.]+, limit: [0-9.]+", "tolerance: 0.9, limit: 0.1", rules)
    assert loosened != rules
    live.amend(opened["loosened"], {RULES: loosened})
    yield opened
    for pull in opened.values():
        live.drop(pull)


def refused(live: Platform, pull: PullRequest) -> str:
    state, description = live.gate(pull)
    assert state == "failure", description
    head = live.member.pull_request(pull.number).head_sha
    with pytest.raises(ForgeError):
        live.member.merge_pull_request(pull.number, head, patience=0)
    assert not live.member.pull_request(pull.number).merged
    return description


def test_a_change_outside_the_pipeline_passes_without_training(live: Platform, pulls: dict[str, PullRequest]) -> None:
    state, description = live.gate(pulls["docs"])
    assert state == "success"
    assert "nothing under ml/ changed" in description


def test_a_worse_model_cannot_be_merged(live: Platform, pulls: dict[str, PullRequest]) -> None:
    assert "accuracy" in refused(live, pulls["worse"])
    (report,) = [one for one in live.member.comments(pulls["worse"].number) if one.author == loop.BOT]
    assert "Quality gate: failed" in report.body


def typed(live: Platform, head: str) -> dict[str, str]:
    """The metrics of a commit with a perfect accuracy written into them, and its lock, which is as fresh with them."""
    before, lock = (live.member.read_file(path, head) or b"" for path in (loop.METRICS, LOCK))
    after = json.dumps({**json.loads(before), "accuracy": 1.0}, indent=2).encode() + b"\n"
    old, new = (hashlib.md5(content, usedforsecurity=False).hexdigest() for content in (before, after))
    assert lock.count(old.encode()) == 1
    return {loop.METRICS: after.decode(), LOCK: lock.decode().replace(old, new)}


def test_s4_typed_metrics_are_not_what_is_judged(live: Platform, pulls: dict[str, PullRequest]) -> None:
    pull = pulls["worse"]
    measured = refused(live, pull)
    head = live.member.pull_request(pull.number).head_sha
    files = typed(live, head)
    last = live.amend(pull, files)
    eventually(lambda: live.member.pull_request(pull.number).head_sha == last or None, 60, "the typed head")
    # Main measured the same of the same model. The lock is fresh, so no training makes the numbers anew.
    assert refused(live, pull) == measured
    assert live.member.pull_request(pull.number).head_sha == last
    (report,) = [one for one in live.member.comments(pull.number) if one.author == loop.BOT]
    assert "| `accuracy` | 1 |" in report.body.partition("Reported by the run")[2], report.body


def test_a_pull_request_cannot_loosen_its_own_gate(live: Platform, pulls: dict[str, PullRequest]) -> None:
    assert "accuracy" in refused(live, pulls["loosened"])


def test_a_mistyped_parameter_is_refused_and_named(live: Platform, pulls: dict[str, PullRequest]) -> None:
    refused(live, pulls["broken"])
    head = pulls["broken"].head_sha
    (run,) = [one for one in live.member.workflow_runs(head) if one.workflow == "train.yml"]
    assert run.conclusion == "failure"
    (job,) = live.member.jobs(run.id)
    log = "\n".join(loop.job_log(live.cluster, live.paths, job.id))
    assert "train.learning_rat" in log
    assert "learning_rate" in log


def test_main_takes_no_push(live: Platform) -> None:
    login = loop.member_login(live.cluster, live.paths)
    with loop.Clone(live.member.clone_url, login) as clone:
        commit = loop.commit_file(clone, "direct", "direct", "no\n", "Push to main")
        assert not clone.succeeds("push", "--quiet", live.member.clone_url, f"{commit}:refs/heads/main")
        assert not clone.succeeds("push", "--quiet", "--force", live.member.clone_url, f"{commit}:refs/heads/main")
