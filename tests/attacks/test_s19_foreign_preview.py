"""A preview that some other job wrote in the place of the real one is not believed where the forge knows better."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ci import handover
from ci.infrastructure import Change, Infrastructure
from ci.plan import Plan, Preview, Step
from forge import Comment, PullRequest, WorkflowRun

SHA, MAIN = "a" * 40, "b" * 40
PULL = PullRequest(1, "t", "", "", "mallory", True, False, "b", SHA, "owner/platform", "main", "")
# What an attacker would have a reviewer see, and what the real preview said.
HARMLESS = Preview(commit=SHA, main=MAIN, stacks={"prod": Plan()})
DELETES = Plan(steps=[Step(action="delete", urn="urn:pulumi:prod::p::t::cluster")], error="it is protected")


@dataclass
class Recorder:
    """Keeps what a forge would be told of a pull request."""

    runs: list[WorkflowRun]
    repository: str = "owner/platform"
    statuses: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""

    def workflow_runs(self, sha: str) -> list[WorkflowRun]:
        return [run for run in self.runs if run.head_sha == sha]

    def set_status(self, sha: str, context: str, state: str, description: str, url: str) -> None:
        assert (sha, context) == (SHA, "infrastructure")
        self.statuses.append((state, description))

    def comments(self, number: int) -> list[Comment]:
        return []

    def upsert_comment(self, number: int, marker: str, text: str) -> Any:
        self.text = text
        return Comment(1, "bot", text, "http://forge/comment")


@dataclass
class Left:
    """The data bucket with one preview in it, which a run left."""

    preview: Preview
    run: int = 1

    def has(self, name: str) -> bool:
        return name == handover.key(self.run)

    def get(self, name: str, limit: int) -> bytes:
        return self.preview.model_dump_json().encode()


class Files:
    """A commit that describes prod."""

    def read(self, path: str) -> bytes | None:
        return b"name: prod\nprovider: aws\nshared: shared\n" if path == "clusters/prod/cluster.yaml" else None

    def files(self, folder: str) -> list[str]:
        return ["clusters/prod/cluster.yaml"]


def ended(conclusion: str, workflow: str = "preview.yml") -> WorkflowRun:
    return WorkflowRun(1, workflow, "pull_request", SHA, "completed", conclusion, "http://forge/run")


def reported(runs: list[WorkflowRun], left: Preview, of: int = 1) -> Recorder:
    forge = Recorder(runs)
    part = Infrastructure(forge, Left(left, of), True, "http://forge/report")  # type: ignore[arg-type]
    part.report(Change(PULL, Files(), Files(), SHA, ["clusters/prod/cluster.yaml"]))  # type: ignore[arg-type]
    return forge


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", ""])
def test_s19_no_changes_are_not_believed_where_the_preview_did_not_end_well(conclusion: str) -> None:
    forge = reported([ended(conclusion)], HARMLESS)
    [(state, description)] = forge.statuses
    assert state == "failure"
    assert description.startswith(f"the preview ended with {conclusion or 'an error'}, but what lies in its place says")
    assert "No changes" not in forge.text


def test_s19_nor_a_failure_where_it_did() -> None:
    forge = reported([ended("success")], HARMLESS.model_copy(update={"stacks": {"prod": DELETES}}))
    [(state, description)] = forge.statuses
    assert state == "failure"
    assert "says that prod failed" in description


@pytest.mark.parametrize("runs", [[], [ended("success", "train.yml")]], ids=["no run", "of training alone"])
def test_s19_nor_anything_before_the_forge_knows_of_a_preview(runs: list[WorkflowRun]) -> None:
    forge = reported(runs, HARMLESS)
    assert forge.statuses == [("pending", "being previewed")]
    assert "No changes" not in forge.text


def test_s19_nor_what_another_run_left() -> None:
    forge = reported([ended("success")], HARMLESS, of=2)
    [(state, description)] = forge.statuses
    assert (state, description) == ("failure", "the preview ended without a result: run it again")
    assert "No changes" not in forge.text


def test_what_the_preview_left_is_judged() -> None:
    assert reported([ended("success")], HARMLESS).statuses == [("success", "prod: no changes")]
    failed = reported([ended("failure")], HARMLESS.model_copy(update={"stacks": {"prod": DELETES}}))
    assert failed.statuses == [("failure", "prod: failed")]
