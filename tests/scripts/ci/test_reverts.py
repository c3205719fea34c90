"""Pull requests that take back what was merged past the bot, on a real forge."""

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

import forge
from ci import git, reverts
from forge import PullRequest
from mlplatform.pulls.record import Record

pytestmark = pytest.mark.tools

Project = Any
PUSH = "release.yml push"
JUDGED = ("train.yml pull_request", "report.yml pull_request_target")
FILE = "docs/notes.md"
BEFORE = "one\n\ntwo\n\nthree\n"
PAST_THE_BOT = BEFORE.replace("one", "ONE")


class Place:
    """A repository without workflows. `bot` proposes in it."""

    def __init__(self, gitea: Any, folder: Path) -> None:
        self.gitea = gitea
        self.name = gitea.new_repository()
        self.root = folder
        self._password = secrets.token_hex(16)
        self._accounts: list[str] = []
        self.git("clone", "--quiet", gitea.clone_url(self.name, "member"), ".")
        self._commit("main", {FILE: BEFORE})

    def account(self, name: str, role: str = "write") -> None:
        """Make an account that may merge."""
        body = {"username": name, "password": self._password, "email": f"{name}@example.invalid"}
        self.gitea.api("POST", "/admin/users", "owner", {**body, "must_change_password": False})
        self._accounts.append(name)
        self.gitea.api("PUT", f"/repos/{self.name}/collaborators/{name}", "owner", {"permission": role})

    def close(self) -> None:
        """Take the accounts away: other tests have none of them."""
        self.gitea.api("DELETE", f"/repos/{self.name}", "owner")
        for name in self._accounts:
            self.gitea.api("DELETE", f"/admin/users/{name}?purge=true", "owner")

    def git(self, *arguments: str) -> str:
        """Run git as member."""
        command = ["git", "-c", "user.name=member", "-c", "user.email=member@example.invalid", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def _commit(self, branch: str, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Change {branch}")
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def merge(self, account: str, files: Mapping[str, str], style: str = "merge", record: bool = False) -> str:
        """Have member propose these files and the account merge them; main's commit."""
        branch = secrets.token_hex(4)
        self.git("fetch", "--quiet", "origin")
        self.git("checkout", "--quiet", "--detach", "origin/main")
        self._commit(branch, files)
        with closing(self.client("member")) as member:
            pull = member.create_pull_request(f"Change {branch}", "", branch, "main")
            if record:
                self._as(account, f"issues/{pull.number}/comments", {"body": Record("a", pull.head_sha, "b").render()})
            self._as(account, f"pulls/{pull.number}/merge", {"Do": style, "head_commit_id": pull.head_sha})
            return str(member.pull_request(pull.number).merge_sha)

    def _as(self, account: str, path: str, body: Mapping[str, str]) -> None:
        url = f"{self.gitea.url}/api/v1/repos/{self.name}/{path}"
        login = (account, self._password)
        if account in self.gitea.tokens:
            login = (account, self.gitea.tokens[account])
        for _ in range(60):
            answer = httpx.post(url, auth=login, json=body, timeout=30)
            # The forge still tries whether it merges.
            if answer.status_code != 405:
                break
            time.sleep(0.5)
        assert answer.is_success, answer.text

    def client(self, account: str) -> forge.Forge:
        """The forge as an account sees it."""
        return forge.connect("gitea", self.gitea.url, self.name, forge.Token(self.gitea.tokens[account]))

    def look(self, *, everything: bool = False) -> list[PullRequest]:
        """Do what a release does; the open pull requests then."""
        token = self.gitea.tokens["bot"]
        self.git("fetch", "--quiet", "origin")
        repository = git.Repository(self.root)
        tip = repository.commit("origin/main")
        assert tip
        remote = git.Remote(f"{self.gitea.url}/{self.name}.git", token)
        with (
            closing(self.client("bot")) as client,
            closing(reverts.Reader(self.gitea.url, self.name, token)) as reader,
        ):
            reverts.propose(client, reader, repository, remote, tip, everything=everything)
            return client.pull_requests("main")


@pytest.fixture
def place(gitea: Any, tmp_path: Path) -> Iterator[Place]:
    made = Place(gitea, tmp_path)
    yield made
    made.close()


@pytest.fixture
def with_bot(place: Place) -> Place:
    """Where the bot merges, and `platform-admin` may past the rules."""
    place.account("ml-merge")
    place.account("platform-admin", "admin")
    return place


def test_c9_a_merge_that_nobody_allowed_is_proposed_for_revert_once(
    with_bot: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    sha = with_bot.merge("member", {FILE: PAST_THE_BOT, "docs/more.md": "more\n"})
    with_bot.merge("member", {FILE: PAST_THE_BOT.replace("three", "THREE")})
    pulls = with_bot.look()
    assert [pull.title for pull in pulls] == [
        f"Revert #1 ({sha[:12]}), which nobody allowed",
        f"Revert #2 ({with_bot.git('rev-parse', 'origin/main')[:12]}), which nobody allowed",
    ]
    [first, _] = pulls
    assert (first.author, first.head_branch) == ("bot", f"revert/{sha[:12]}")
    assert f"`member` merged #1 into main ({sha})" in first.body
    with closing(with_bot.client("member")) as member:
        assert member.changed_files(first.number) == ["docs/more.md", FILE]
        # What came after it stays.
        assert member.read_file(FILE, first.head_branch) == BEFORE.replace("three", "THREE").encode()
        assert member.read_file("docs/more.md", first.head_branch) is None
    with_bot.git("fetch", "--quiet", "origin")
    assert with_bot.git("log", "-1", "--format=%an %cn %P", f"origin/{first.head_branch}") == (
        f"ml-proposer ml-proposer {with_bot.git('rev-parse', 'origin/main')}"
    )
    capsys.readouterr()
    assert with_bot.look(everything=True) == pulls
    assert (
        f"#{first.number}, which takes back #1, which member merged without the bot, is open" in capsys.readouterr().out
    )


def test_c9_what_the_bot_merged_is_not_proposed_and_ends_the_look_of_all_runs_but_the_scheduled(
    with_bot: Place,
) -> None:
    with_bot.merge("member", {FILE: PAST_THE_BOT})
    with_bot.merge("ml-merge", {"docs/other.md": "other\n"})
    assert with_bot.look() == []
    assert [pull.title.partition(" (")[0] for pull in with_bot.look(everything=True)] == ["Revert #1"]


def test_c9_a_revert_that_a_person_closed_stays_closed(with_bot: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with_bot.merge("member", {FILE: PAST_THE_BOT})
    [pull] = with_bot.look()
    with closing(with_bot.client("member")) as member:
        member.close_pull_request(pull.number)
        member.delete_branch(pull.head_branch)
    assert with_bot.look(everything=True) == []
    assert (
        f"#{pull.number}, which takes back #1, which member merged without the bot, was closed"
        in capsys.readouterr().out
    )


def test_c9_a_merge_that_was_taken_back_already_is_not_proposed(
    with_bot: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with_bot.merge("member", {FILE: PAST_THE_BOT})
    with_bot.merge("ml-merge", {FILE: BEFORE})
    assert with_bot.look(everything=True) == []
    assert "main is rid of #1, which member merged without the bot, already" in capsys.readouterr().out


def test_c9_a_revert_that_conflicts_is_left_to_people(with_bot: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with_bot.merge("member", {FILE: PAST_THE_BOT})
    with_bot.merge("ml-merge", {FILE: PAST_THE_BOT.replace("ONE", "1")})
    with_bot.merge("member", {"docs/squashed.md": "squashed\n"}, style="squash")
    assert with_bot.look(everything=True) == []
    said = capsys.readouterr().out
    for number in (1, 3):
        assert f"#{number}, which member merged without the bot, is not taken back without a person" in said


def test_c9_a_merge_with_an_administrators_record_is_left_alone(with_bot: Place) -> None:
    with_bot.merge("platform-admin", {FILE: PAST_THE_BOT}, record=True)
    assert with_bot.look(everything=True) == []
    with_bot.merge("platform-admin", {"docs/other.md": "without a record\n"})
    with_bot.merge("member", {"docs/third.md": "with a record of a member's\n"}, record=True)
    assert sorted(pull.title.partition(" (")[0] for pull in with_bot.look()) == ["Revert #2", "Revert #3"]


def test_c9_what_was_merged_before_there_was_a_bot_is_left_alone(place: Place) -> None:
    place.merge("member", {FILE: PAST_THE_BOT})
    assert place.look(everything=True) == []
    time.sleep(1.1)  # the forge's times are whole seconds
    place.account("ml-merge")
    assert place.look(everything=True) == []


def test_c9_a_release_proposes_the_revert_and_a_scheduled_one_completes_it(
    new_project: Callable[[Mapping[str, str]], Project], with_bot: Place
) -> None:
    project = new_project({})
    # Nothing was ever trained, so no image is made of it.
    project.variables["PYTHON_IMAGE"] = f"library/python@sha256:{'0' * 64}"
    pull = project.propose("docs", {FILE: BEFORE})
    project.drop(*JUDGED, "report.yml workflow_run")
    merged = project.member.merge_pull_request(pull.number, pull.head_sha)
    task = project.take(PUSH)[PUSH]
    assert "which nobody allowed" in project.run_again(task)
    [revert] = project.member.pull_requests("main")
    assert revert.head_branch == f"revert/{merged[:12]}"
    assert project.member.changed_files(revert.number) == [FILE]
    scheduled = {**task["context"], "event_name": "schedule", "event": {"schedule": "*/30 * * * *"}}
    assert f"#{revert.number}, which takes back #{pull.number}" in project.run_again({**task, "context": scheduled})
    assert len(project.member.pull_requests("main")) == 1
