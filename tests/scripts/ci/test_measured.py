"""Pull requests that main's own code measures: real forge, object store, DVC and ONNX Runtime; no pods.

What single faults come to is for test_judging.py, which needs no forge.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import measured_project
from measured_project import parameters
from mlplatform.pulls.verdict import asks_an_owner

pytestmark = pytest.mark.tools

Project = Any
# Seconds until the forge has handed out what an event starts.
PATIENCE = 5
JOBS = ("train.yml", "report.yml", "evaluate.yml")


@pytest.fixture
def project(new_project: Callable[[Mapping[str, str]], Project]) -> Project:
    content = measured_project.rows(40)
    made = new_project(measured_project.files(hashlib.md5(content, usedforsecurity=False).hexdigest()))
    made.put(content)
    return made


@pytest.fixture
def released(project: Project) -> Project:
    """With a model on main, which main has measured."""
    pull, _ = propose(project, "first", parameters(0.96))
    merge(project, pull)
    project.git("fetch", "--quiet", "origin")
    return project


def settle(project: Project) -> list[Mapping[str, Any]]:
    """Do the jobs that wait, and those that follow from them; those that were done.

    Left undone is what changes nothing here: releases, the nightly job, reports of what has not been trained, and the
    second round that the commit of the lock starts.
    """
    done: list[Mapping[str, Any]] = []
    trained: dict[str, str] = {}
    while task := project.runner.take(PATIENCE):
        context = task["context"]
        event, workflow = context["event"], context["workflow"]
        pull, before = event.get("pull_request"), event.get("workflow_run")
        if workflow == "train.yml":
            wanted = trained.setdefault(context["head_ref"], pull["head"]["sha"]) == pull["head"]["sha"]
        elif before and before["event"].startswith("pull_request"):
            wanted = before["head_sha"] in trained.values()
        else:
            wanted = pull is None
        if wanted and workflow in JOBS:
            project.run(task)
            done.append(task)
        else:
            project.finish(task)
    return done


def propose(project: Project, branch: str, files: Mapping[str, str]) -> tuple[Any, Any]:
    """Open a pull request and let everything happen; the pull request and its gate's status then."""
    number = project.propose(branch, files).number
    settle(project)
    pull = project.member.pull_request(number)
    return pull, project.gate(pull.head_sha)


def merge(project: Project, pull: Any) -> None:
    project.member.merge_pull_request(pull.number, pull.head_sha)
    settle(project)


def test_s5_main_measures_and_what_a_run_says_of_itself_decides_nothing(project: Project) -> None:
    # Main has no model: an owner decides, and a model below main's limit is refused.
    pull, status = propose(project, "first", parameters(0.96))
    assert status.state == "pending"
    assert status.description.startswith("no baseline: main has no model to compare with: an owner's approval is asked")
    report = project.report(pull.number)
    assert "Quality gate: an owner decides" in report
    assert "Measured by main's code, on main's test set" in report
    assert "Reported by the run" in report
    _, status = propose(project, "too-bad", parameters(9))
    assert (status.state, status.description) == ("failure", "accuracy 0.5000 does not reach main's limit of 0.8")
    merge(project, pull)

    # As good as main.
    pull, status = propose(project, "alike", parameters(0.5))
    assert (status.state, status.description) == ("success", "accuracy 1.0000, main 1.0000 (+0.0000)")

    # Main's own model, with other numbers typed into the run's file and the hash of that into the lock.
    typed = '{"accuracy": 0.25, "loss": 9}'
    project.git("fetch", "--quiet", "origin")
    old, locked = (project.git("show", f"origin/main:ml/{name}") for name in ("metrics.json", "dvc.lock"))
    before, after = (hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for text in (old, typed))
    assert before in locked
    pull, status = propose(project, "typed", {"ml/metrics.json": typed, "ml/dvc.lock": locked.replace(before, after)})
    assert (status.state, status.description) == ("success", "accuracy 1.0000, main 1.0000 (+0.0000)")
    report = project.report(pull.number)
    assert "| `accuracy` | 1 | 1 | +0 |" in report
    assert "| `accuracy` | 0.25 |" in report.partition("Reported by the run")[2]

    # Worse, with a run that calls itself perfect.
    pull, status = propose(project, "liar", parameters(9))
    assert status.state == "failure"
    assert status.description == "accuracy 0.5000, main 1.0000 (-0.5000): it may fall by 0.005 at most"
    project.git("fetch", "--quiet", "origin")
    committed = project.git("show", f"{pull.head_sha}:ml/metrics.json")
    assert json.loads(committed)["accuracy"] == 1.0
    assert "| `accuracy` | 1 | 0.5 | -0.5 |" in project.report(pull.number)


def look(project: Project, branch: str, files: Mapping[str, str]) -> tuple[Any, Any]:
    """Open a pull request that trains nothing; it and its gate's status."""
    pull = project.propose(branch, files)
    while task := project.runner.take(PATIENCE):
        if task["context"]["workflow"] == "report.yml":
            project.run(task)
        else:
            project.finish(task)
    return pull, project.gate(pull.head_sha)


def test_c10_an_owner_is_asked_also_where_nothing_is_trained(project: Project) -> None:
    lock = (project.root / "requirements/evaluate.txt").read_text()
    changed = {"requirements/evaluate.txt": f"{lock}# other\n"}
    pull, status = look(project, "lock", changed)
    asked = (
        "main cannot judge requirements/evaluate.txt: it decides how models are measured: an owner's approval is asked"
    )
    assert (status.state, status.description) == ("pending", asked)
    assert asks_an_owner(status.state, status.description)
    assert "Quality gate: an owner decides" in project.report(pull.number)
    assert "main cannot judge requirements/evaluate.txt" in project.report(pull.number)

    # Taken back, nobody is asked any more.
    head = project.push("lock", {"requirements/evaluate.txt": lock, "README.md": "text\n"})
    tasks = project.take("train.yml pull_request", "report.yml pull_request_target")
    assert "nothing under ml/ changed: nothing to train" in project.run(tasks["train.yml pull_request"])
    project.run(tasks["report.yml pull_request_target"])
    assert project.gate(head).state == "success"
    assert "Quality gate: passed" in project.report(pull.number)
    while task := project.runner.take(PATIENCE):
        project.finish(task)

    pull, status = look(project, "documents", {"docs/text.md": "text\n", "requirements/other.txt": "x\n"})
    assert (status.state, status.description) == ("success", "nothing under ml/ changed")
    assert project.member.comments(pull.number) == []

    # Somebody else's image: nothing measures it either.
    overlay = f"images: [{{name: quay.io/brand/cache, digest: 'sha256:{'c' * 64}'}}]\n"
    pull, status = look(project, "cache", {"apps/classifier/overlays/dev/kustomization.yaml": overlay})
    assert status.state == "pending"
    assert status.description.startswith("main cannot judge apps/classifier/overlays/dev (quay.io/brand/cache@sha256:c")
    assert asks_an_owner(status.state, status.description)


@pytest.mark.attacks
def test_s5_what_rules_the_gate_is_an_owners_and_counts_from_its_merge_on(released: Project) -> None:
    # The evaluator that always says 1.0, with a model that is worse: main's own evaluator measures it.
    lies = "def score(outputs, targets):\n    return {'accuracy': 1.0, 'mistakes': 0}\n"
    pull, status = propose(released, "evaluator", {"ml/src/toy/score.py": lies, **parameters(9)})
    assert status.state == "pending"
    assert status.description.startswith("main cannot judge ml/src/toy/score.py:")
    assert "| `accuracy` | 1 | 0.5 | -0.5 |" in released.report(pull.number)
    # A tolerance that allows everything.
    text = measured_project.DECLARATION.replace("tolerance: 0.005", "tolerance: 0.9")
    pull, status = propose(released, "tolerance", {"ml/evaluation.yaml": text, **parameters(9)})
    assert status.state == "failure"
    assert "it may fall by 0.005 at most" in status.description
    assert "main cannot judge ml/evaluation.yaml (metrics)" in released.report(pull.number)
    # Dropped rows of the test set, such as those that a model gets wrong.
    fewer = released.put(measured_project.rows(10))
    pull, status = propose(released, "rows", measured_project.test_set_pointer(fewer))
    assert status.state == "pending"
    assert status.description.startswith("main cannot judge ml/data/test.safetensors.dvc:")

    # Once an owner has it merged, nothing is judged by what was measured before.
    waiting, status = propose(released, "waiting", parameters(0.5))
    assert status.state == "success"
    merge(released, pull)
    again = released.propose("again", parameters(0.6))
    task = next(task for task in settle(released) if task["context"]["workflow"] == "report.yml")
    assert released.gate(released.member.pull_request(again.number).head_sha).state == "success"
    about = {**task["context"], "event": {"pull_request": {"number": waiting.number}}}
    released.run_again({**task, "id": "again", "context": about})
    status = released.gate(waiting.head_sha)
    assert (status.state, status.description) == ("pending", "main has not measured the model yet")
    assert "waiting for main's measurement" in released.report(waiting.number)
