"""The client against a real Gitea."""

import subprocess
import time
from pathlib import Path

import forge
import pytest

pytestmark = pytest.mark.tools

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
def repository(gitea) -> str:
    return gitea.new_repository()


@pytest.fixture
def member(gitea, repository):
    client = forge.connect("gitea", gitea.url, repository, forge.Token(gitea.tokens["member"]))
    yield client
    client.close()


@pytest.fixture
def bot(gitea, repository):
    client = forge.connect("gitea", gitea.url, repository, forge.Token(gitea.tokens["bot"]))
    yield client
    client.close()


@pytest.fixture
def push(gitea, repository, tmp_path: Path):
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


def test_a_pull_request_from_opening_to_merge(member, push):
    sha = push("change", one="1", two="2")
    opened = member.create_pull_request("Add two files", "body", "change", "main")

    assert (opened.head_sha, opened.head_branch, opened.base_branch) == (sha, "change", "main")
    assert opened.open and not opened.merged and opened.author == "member"
    assert not opened.is_from_fork(member.repository)
    assert [entry.number for entry in member.pull_requests("main")] == [opened.number]
    assert member.pull_requests("other") == []
    assert member.changed_files(opened.number) == ["one", "two"]

    merged = member.merge_pull_request(opened.number, sha)

    assert member.pull_request(opened.number).merged
    assert member.branch("main").sha == merged
    assert member.pull_requests("main") == []


def test_a_merge_of_a_moved_head_is_refused(member, push):
    sha = push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    push("change", one="2")

    with pytest.raises(forge.ForgeError) as caught:
        member.merge_pull_request(number, sha, patience=10)

    assert caught.value.status == 409
    assert not member.pull_request(number).merged


def test_a_closed_pull_request_is_not_listed(member, push):
    push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    member.close_pull_request(number)

    assert member.pull_requests() == []
    closed = member.pull_request(number)
    assert not closed.open and not closed.merged


def test_the_latest_status_of_a_context_counts(bot, push):
    sha = push("change", one="1")
    assert bot.status(sha, "quality-gate") is None
    bot.set_status(sha, "quality-gate", "pending", "training")
    bot.set_status(sha, "other", "failure", "no")
    bot.set_status(sha, "quality-gate", "success", "x" * 200, "http://example.invalid/run")

    status = bot.status(sha, "quality-gate")

    assert (status.state, status.target_url) == ("success", "http://example.invalid/run")
    assert status.description == "x" * 137 + "..."


def test_a_sticky_comment_is_written_once_and_then_edited(bot, member, push):
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


def test_many_comments_are_all_found(bot, member, push):
    push("change", one="1")
    number = member.create_pull_request("Add a file", "", "change", "main").number
    written = [member.comment(number, f"comment {index}").id for index in range(55)]

    assert [comment.id for comment in bot.comments(number)] == written


def test_branches_and_files(member, push):
    sha = push("feature/one", one="text\n")

    assert member.branch("feature/one").sha == sha
    assert member.branch("missing") is None
    assert member.read_file("one", "feature/one") == b"text\n"
    assert member.read_file("one", "main") is None

    assert member.create_branch("copy", "feature/one").sha == sha
    member.delete_branch("copy")
    member.delete_branch("copy")
    assert member.branch("copy") is None


def test_a_push_with_the_bots_token_starts_the_workflows_of_a_pull_request(member, bot, push, gitea, tmp_path):
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


def test_the_repository_and_the_account(bot, repository):
    described = bot.describe()

    assert (described.name, described.default_branch, described.private) == (repository, "main", True)
    assert bot.account() == "bot"


def test_a_wrong_token_is_named_with_its_fix(gitea, repository):
    client = forge.connect("gitea", gitea.url, repository, forge.Token("0" * 40))

    with pytest.raises(
        forge.ForgeError, match="/user: HTTP 401.*The credential is missing, expired or wrong"
    ) as caught:
        client.account()

    assert "0" * 40 not in str(caught.value)


def test_an_unknown_repository_is_named_with_its_fix(gitea):
    client = forge.connect("gitea", gitea.url, "ml/none", forge.Token(gitea.tokens["bot"]))

    with pytest.raises(forge.ForgeError, match="/repos/ml/none: HTTP 404.*access to the repository"):
        client.describe()


def test_a_password_works_like_a_token(gitea, repository):
    # Gitea takes a token in the password's place.
    client = forge.connect("gitea", gitea.url, repository, forge.Password("member", gitea.tokens["member"]))

    assert client.describe().name == repository
