"""The client against a real Gitea."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forge

pytestmark = pytest.mark.tools

Push = Callable[..., str]

WORKFLOW = """
name: train
on: pull_request
permissions: {}
jobs:
  train:
    runs-on: nobody
    steps:
      - run: "true"
"""


@pytest.fixture
def repository(gitea: Any) -> str:
    return gitea.new_repository()


@pytest.fixture
def member(gitea: Any, repository: str) -> Iterator[forge.Forge]:
    client = forge.connect("gitea", gitea.url, repository, forge.Token(gitea.tokens["member"]))
    yield client
    client.close()


@pytest.fixture
def bot(gitea: Any, repository: str) -> Iterator[forge.Forge]:
    client = forge.connect("gitea", gitea.url, repository, forge.Token(gitea.tokens["bot"]))
    yield client
    client.close()


@pytest.fixture
def push(gitea: Any, repository: str, tmp_path: Path) -> Push:
    """A function that commits files on a branch, as member, and returns the commit."""

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=member", "-c", "user.email=member@example.invalid", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    git("clone", "--quiet", gitea.clone_url(repository, "member"), ".")

    def commit(branch: str, **files: str) -> str:
        git("checkout", "--quiet", "-B", branch)
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Change {', '.join(files)}")
        git("push", "--quiet", "origin", branch)
        return git("rev-parse", "HEAD")

    return commit


def test_a_pull_request_from_opening_to_merge(member: forge.Forge, push: Push) -> None:
    sha = push("change", one="1", two="2")
    opened = member.create_pull_request("Add two files", "body", "change", "main")

    assert (opened.head_sha, opened.head_branch, opened.base_branch) == (sha, "change", "main")
    assert (opened.open, opened.merged, opened.author) == (True, False, "member")
    assert not opened.is_from_fork(member.repository)
    assert [entry.number for entry in member.pull_requests("main")] == [opened.number]
    assert member.pull_requests("other") == []
    assert member.changed_files(opened.number) == ["one", "two"]

    merged = member.merge_pull_request(opened.number, sha)

    assert member.pull_request(opened.number).merged
    assert member.branch("main").sha == merged
    assert member.pull_requests("main") == []


def test_a_merge_of_a_moved_head_is_refused(member: forge.Forge, push: Push) -> None:
    sha = push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    push("change", one="2")

    with pytest.raises(forge.ForgeError) as caught:
        member.merge_pull_request(number, sha, patience=10)

    assert caught.value.status == 409
    assert not member.pull_request(number).merged


def test_a_closed_pull_request_is_not_listed(member: forge.Forge, push: Push) -> None:
    push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    member.close_pull_request(number)

    assert member.pull_requests() == []
    closed = member.pull_request(number)
    assert (closed.open, closed.merged) == (False, False)


def test_s2_the_latest_status_of_a_context_counts_that_the_account_set(
    bot: forge.Forge, member: forge.Forge, push: Push
) -> None:
    sha = push("change", one="1")
    member.set_status(sha, "quality-gate", "success", "forged before")
    assert bot.status(sha, "quality-gate", "bot") is None
    bot.set_status(sha, "quality-gate", "pending", "training")
    bot.set_status(sha, "other", "failure", "no")
    bot.set_status(sha, "quality-gate", "success", "x" * 200, "http://example.invalid/run")
    member.set_status(sha, "quality-gate", "pending", "forged after")

    status = bot.status(sha, "quality-gate", "Bot")

    assert (status.state, status.target_url) == ("success", "http://example.invalid/run")
    assert status.description == "x" * 137 + "..."


def test_a_sticky_comment_is_written_once_and_then_edited(bot: forge.Forge, member: forge.Forge, push: Push) -> None:
    push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    marker = "<!-- test:report -->"
    member.comment(number, f"{marker}\nwritten by somebody else")

    first = bot.upsert_comment(number, marker, "first")
    second = bot.upsert_comment(number, marker, "second")
    third = bot.upsert_comment(number, marker, "second")

    assert first.id == second.id == third.id
    assert [comment.body for comment in bot.comments(number)] == [
        f"{marker}\nwritten by somebody else",
        f"{marker}\nsecond",
    ]


def test_many_comments_are_all_found(bot: forge.Forge, member: forge.Forge, push: Push) -> None:
    push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    written = [member.comment(number, f"comment {index}").id for index in range(55)]

    assert [comment.id for comment in bot.comments(number)] == written


def test_branches_and_files(member: forge.Forge, push: Push) -> None:
    sha = push("feature/one", one="text\n")

    assert member.branch("feature/one").sha == sha
    assert member.branch("missing") is None
    assert member.read_file("one", "feature/one") == b"text\n"
    assert member.read_file("one", "main") is None

    assert member.create_branch("copy", "feature/one").sha == sha
    member.delete_branch("copy")
    member.delete_branch("copy")
    assert member.branch("copy") is None


def test_a_push_with_the_bots_token_starts_the_workflows_of_a_pull_request(
    member: forge.Forge, bot: forge.Forge, push: Push, gitea: Any, tmp_path: Path
) -> None:
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    push("change", **{".github/workflows/train.yml": WORKFLOW})
    number = member.create_pull_request("Add a workflow", "", "change", "main").number
    sha = push("change", one="1")

    deadline = time.monotonic() + 20
    while not (runs := bot.workflow_runs(sha)) and time.monotonic() < deadline:
        time.sleep(0.2)

    assert [(run.workflow, run.head_sha, run.completed) for run in runs] == [("train.yml", sha, False)]
    assert [job.name for job in bot.jobs(runs[0].id)] == ["train"]
    assert bot.pull_request(number).head_sha == sha


def test_the_repository_and_the_account(bot: forge.Forge, repository: str) -> None:
    described = bot.describe()

    assert (described.name, described.default_branch, described.private) == (repository, "main", True)
    assert bot.account() == "bot"


def test_a_wrong_token_is_named_with_its_fix(gitea: Any, repository: str) -> None:
    client = forge.connect("gitea", gitea.url, repository, forge.Token("0" * 40))

    with (
        closing(client),
        pytest.raises(
            forge.ForgeError, match=r"/user: HTTP 401: .* The credential is missing, expired or wrong"
        ) as caught,
    ):
        client.account()

    assert "0" * 40 not in str(caught.value)


def test_an_unknown_repository_is_named_with_its_fix(gitea: Any) -> None:
    client = forge.connect("gitea", gitea.url, "ml/none", forge.Token(gitea.tokens["bot"]))

    with (
        closing(client),
        pytest.raises(forge.ForgeError, match=r"/repos/ml/none: HTTP 404: .*access to the repository"),
    ):
        client.describe()


def test_a_password_works_like_a_token(gitea: Any, repository: str) -> None:
    # Gitea takes a token in the password's place.
    client = forge.connect("gitea", gitea.url, repository, forge.Password("member", gitea.tokens["member"]))

    with closing(client):
        assert client.describe().name == repository
