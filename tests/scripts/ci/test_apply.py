"""What is applied, what is left alone, and what is said of it. (Whole applies: test_infrastructure.py.)"""

import base64
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.affected import Stack
from ci.apply import Applied, Job, last
from ci.git import Repository
from ci.plan import Plan, Preview
from forge import PullRequest
from settings import ROOT

A = "a" * 40


def update(kind: str = "update", result: str = "succeeded", head: str = A, **more: str) -> dict[str, Any]:
    return {"kind": kind, "result": result, "environment": {"git.head": head, **more}}


@pytest.mark.parametrize(
    ("history", "commit"),
    [
        ([], None),
        ([update()], A),
        ([update(), update(head="b" * 40)], A),
        ([update(kind="preview"), update()], A),
        # What failed, came from a dirty checkout or was no update may have left anything.
        ([update(result="failed"), update()], None),
        ([update(**{"git.dirty": "true"})], None),
        ([update(kind="destroy"), update()], None),
        ([update(kind="refresh"), update()], None),
        ([update(head="")], None),
        ([update(head="$(reboot)")], None),
        ([{"kind": "update", "result": "succeeded"}], None),
    ],
)
def test_the_last_applied_commit(history: list[dict[str, Any]], commit: str | None) -> None:
    assert last(history).commit == commit


@dataclass
class Told:
    """Keeps what a forge would be told."""

    statuses: list[tuple[str, ...]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def set_status(self, sha: str, context: str, state: str, description: str, target_url: str = "") -> None:
        self.statuses.append((context, state, description))

    def upsert_comment(self, number: int, marker: str, body: str) -> None:
        self.texts.append(f"{marker}\n{body}")


@dataclass
class History:
    """main: base -- dev -- docs -- merge; `change` leaves it at base."""

    repository: Repository
    commits: dict[str, str]

    def job(self, commit: str, stack: str = "dev") -> Job:
        told: Any = Told()
        return Job(Stack(stack, "shared"), self.repository, told, "https://forge.example/run", self.commits[commit])


@pytest.fixture
def history(tmp_path: Path) -> History:
    found = Repository(tmp_path)
    for command in ("init -q -b main", "config user.name t", "config user.email t@t.invalid"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    commits = {}

    def commit(name: str, path: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(name)
        found.git("add", path)
        found.git("commit", "-q", "-m", name)
        commits[name] = found.commit("HEAD") or ""

    commit("base", "README.md")
    found.git("checkout", "-q", "-b", "change")
    commit("change", "clusters/staging/cluster.yaml")
    found.git("checkout", "-q", "main")
    commit("dev", "clusters/dev/cluster.yaml")
    commit("docs", "docs/text.md")
    found.git("merge", "-q", "--no-ff", "-m", "merge", "change")
    commits["merge"] = found.commit("HEAD") or ""
    return History(found, commits)


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        ("base", "dev", ""),
        ("base", "docs", ""),
        ("dev", "docs", "nothing that affects it has changed since"),
        ("dev", "merge", "nothing that affects it has changed since"),
        ("docs", "docs", "nothing that affects it has changed since"),
        ("docs", "dev", "a newer commit, "),
    ],
)
def test_only_what_is_affected_is_applied(history: History, before: str, now: str, reason: str) -> None:
    said = history.job(now).why_not(Applied(history.commits[before]))
    assert said.startswith(reason)
    assert bool(said) is bool(reason)


@pytest.mark.parametrize("commit", [None, "f" * 40])
def test_without_a_known_last_commit_everything_is_applied(history: History, commit: str | None) -> None:
    assert history.job("docs").why_not(Applied(commit)) == ""


def pull(history: History) -> PullRequest:
    texts = dict.fromkeys(("title", "body", "url", "author", "head_branch", "head_repository", "base_branch"), "")
    shas = {"head_sha": history.commits["change"], "merge_sha": history.commits["merge"]}
    return PullRequest(number=7, open=False, merged=True, **shas, **texts)


def preview(history: History, main: str, *stacks: str) -> Preview:
    plans = {name: Plan() for name in stacks}
    return Preview(commit=history.commits["change"], main=history.commits[main], stacks=plans)


@pytest.mark.parametrize(
    ("main", "stack", "said"),
    [
        ("docs", "staging", ""),
        ("dev", "staging", ""),
        ("base", "staging", ""),
        ("docs", "dev", "#7 has no preview of dev"),
    ],
)
def test_what_was_previewed_surprises_nobody(history: History, main: str, stack: str, said: str) -> None:
    found = history.job("merge", stack).not_previewed(pull(history), preview(history, main, "staging"))
    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_what_main_won_after_the_preview_is_named(history: History) -> None:
    found = history.job("merge").not_previewed(pull(history), preview(history, "base", "dev"))
    assert found == (
        "main moved after the preview of #7, so this applies more than it showed: clusters/dev/cluster.yaml"
    )


def test_a_commit_without_a_pull_request_or_preview_says_so(history: History) -> None:
    assert "nobody saw a preview" in history.job("merge").not_previewed(None, None)
    assert "#7 has no preview of dev" in history.job("merge").not_previewed(pull(history), None)


@pytest.mark.parametrize(
    ("plan", "surprise", "state", "comments"),
    [
        (Plan(), "", "success", 0),
        (Plan(), "main moved", "success", 1),
        (Plan(error="no such subnet\nmore"), "", "failure", 1),
    ],
)
def test_a_pull_request_hears_of_what_nobody_expected_only(
    history: History, plan: Plan, surprise: str, state: str, comments: int
) -> None:
    job = history.job("merge")
    job.tell(plan, pull(history), surprise)
    told: Any = job.forge
    assert [one[:2] for one in told.statuses] == [("apply/dev", state)]
    assert len(told.texts) == comments
    job.tell(plan, None, surprise)
    assert len(told.texts) == comments


def test_hostile_words_are_shown_as_words(history: History) -> None:
    job = history.job("merge")
    job.tell(Plan(error="<img src=x> @everyone [a](b)"), pull(history), "")
    told: Any = job.forge
    assert not any(piece in told.texts[0] for piece in ("<img", "@everyone", "[a]"))


@pytest.mark.tools
def test_the_forge_hands_out_each_stacks_job_whole_and_in_order(gitea: Any, tmp_path: Path) -> None:
    """The workflow writes its steps once; whoever runs a job gets a document of its own, with no alias left in it."""
    repository = gitea.new_repository()
    runner = gitea.runner(repository, "ml-cpu")
    git = ["git", "-c", "user.name=m", "-c", "user.email=m@example.invalid", "-C", str(tmp_path)]
    subprocess.run([*git, "clone", "-q", gitea.clone_url(repository, "member"), "."], check=True)
    for path in (".github/workflows/apply.yml", "Pulumi.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "Apply"], check=True)
    subprocess.run([*git, "push", "-q", "origin", "main"], check=True)

    whole = yaml.safe_load((ROOT / ".github/workflows/apply.yml").read_text())["jobs"]
    for name, result in (("shared", "SUCCESS"), ("dev", "FAILURE")):
        task = runner.take()
        assert task, f"no job for {name}"
        text = base64.b64decode(task["workflowPayload"]).decode()
        assert not [event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)]
        [(job, found)] = yaml.safe_load(text)["jobs"].items()
        assert job == name
        assert [step.get("run") for step in found["steps"]] == [step.get("run") for step in whole[name]["steps"]]
        assert found["steps"][1]["env"] == whole[name]["steps"][1]["env"]
        assert found["steps"][0]["uses"] == whole[name]["steps"][0]["uses"]
        runner.finish(task, result)
    assert runner.take(3) is None, "a stack that fails stops those after it"
