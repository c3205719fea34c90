"""What the client sends to GitHub and how it reads the answers, which a loopback server gives in documented form."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import forge

PULL = {
    "number": 7,
    "title": "Change",
    "body": None,
    "html_url": "https://example.invalid/pull/7",
    "user": {"login": "member"},
    "state": "open",
    "merged_at": None,
    "merge_commit_sha": "d" * 40,
    "head": {"ref": "change", "sha": "a" * 40, "repo": {"full_name": "ml/platform"}},
    "base": {"ref": "main", "sha": "b" * 40},
}


@dataclass
class Server:
    """Answers requests from a list, and keeps what was asked."""

    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, status: int, body: Any, **headers: str) -> None:
        self.answers.append((status, body, headers))


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append((self.command, self.path, body))
            assert self.headers["Authorization"] == "token secret"
            status, answer, headers = state.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - named by the base class

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture
def github(server: Server) -> Iterator[forge.Forge]:
    with closing(forge.connect("github", server.url, "ml/platform", forge.Token("secret"))) as client:
        yield client


def test_a_pull_request_is_merged_at_its_head(github: forge.Forge, server: Server) -> None:
    server.answer(405, {"message": "Base branch was modified. Review and try the merge again."})
    server.answer(200, {"merged": True, "sha": "d" * 40})
    server.answer(200, {**PULL, "state": "closed", "merged_at": "2026-01-01T00:00:00Z"})

    assert github.merge_pull_request(7, "a" * 40) == "d" * 40

    put = ("PUT", "/api/v3/repos/ml/platform/pulls/7/merge", {"merge_method": "merge", "sha": "a" * 40})
    assert server.asked[:2] == [put, put]


def test_every_page_of_a_list_is_read(github: forge.Forge, server: Server) -> None:
    server.answer(200, [PULL], Link='<https://api.example.invalid/?page=2>; rel="next"')
    server.answer(200, [{**PULL, "number": 8, "base": {"ref": "other", "sha": "b" * 40}}])

    pulls = github.pull_requests("main")

    assert [pull.number for pull in pulls] == [7]
    assert not pulls[0].is_from_fork("ML/platform")
    paths = [path for _, path, _ in server.asked]
    assert paths == [f"/api/v3/repos/ml/platform/pulls?state=open&page={n}&limit=50&per_page=50" for n in (1, 2)]


def test_a_fork_whose_repository_is_gone_is_still_a_fork(github: forge.Forge, server: Server) -> None:
    server.answer(200, {**PULL, "head": {"ref": "change", "sha": "a" * 40, "repo": None}})

    assert github.pull_request(7).is_from_fork("ml/platform")


def test_s2_the_status_of_a_context_is_the_accounts_own(github: forge.Forge, server: Server) -> None:
    own = {"context": "quality-gate", "state": "success", "creator": {"login": "Platform[bot]"}}
    statuses = [
        {**own, "id": 4, "state": "pending", "creator": {"login": "member"}},
        {**own, "id": 5, "state": "pending", "creator": None},
        {**own, "id": 1, "state": "failure"},
        {**own, "id": 2},
        {**own, "id": 3, "context": "other", "state": "failure"},
    ]
    for _ in range(2):
        server.answer(200, statuses)

    assert github.status("a" * 40, "quality-gate", "platform[bot]") == forge.Status("quality-gate", "success", "", "")
    assert github.status("a" * 40, "quality-gate", "") is None
    assert server.asked[0][1] == f"/api/v3/repos/ml/platform/commits/{'a' * 40}/statuses?page=1&limit=50&per_page=50"


def test_s2_a_commit_with_any_number_of_statuses_takes_few_requests(github: forge.Forge, server: Server) -> None:
    others = [{"id": 9, "context": "quality-gate", "state": "success", "creator": {"login": "member"}}] * 50
    for _ in range(21):
        server.answer(200, others, Link='<https://api.example.invalid/?page=2>; rel="next"')

    assert github.status("a" * 40, "quality-gate", "platform[bot]") is None
    assert len(server.asked) == 20


def test_the_account_of_an_app_is_told_by_graphql(github: forge.Forge, server: Server) -> None:
    server.answer(200, {"data": {"viewer": {"login": "platform[bot]"}}})

    assert github.account() == github.account() == "platform[bot]"
    assert server.asked == [("POST", "/api/graphql", {"query": "{ viewer { login } }"})]


def test_an_account_that_github_does_not_tell_is_an_error(github: forge.Forge, server: Server) -> None:
    server.answer(200, {"data": None, "errors": [{"message": "no"}]})

    with pytest.raises(forge.ForgeError, match="'message': 'no'"):
        github.account()


def test_branches_are_references(github: forge.Forge, server: Server) -> None:
    server.answer(200, {"name": "main", "commit": {"sha": "b" * 40}})
    server.answer(201, {"ref": "refs/heads/copy"})
    server.answer(422, {"message": "Reference does not exist"})

    assert github.create_branch("copy", "main") == forge.Branch("copy", "b" * 40)
    github.delete_branch("gone")

    assert server.asked[1:] == [
        ("POST", "/api/v3/repos/ml/platform/git/refs", {"ref": "refs/heads/copy", "sha": "b" * 40}),
        ("DELETE", "/api/v3/repos/ml/platform/git/refs/heads/gone", None),
    ]


def test_workflow_runs_are_those_of_the_commit_newest_first(github: forge.Forge, server: Server) -> None:
    run = {"id": 1, "path": ".github/workflows/train.yml", "event": "pull_request", "head_sha": "a" * 40}
    run |= {"status": "completed", "conclusion": "failure", "html_url": "https://example.invalid/runs/1"}
    newer = {**run, "id": 2, "status": "in_progress", "conclusion": None}
    server.answer(200, {"total_count": 3, "workflow_runs": [run, newer, {**run, "id": 3, "head_sha": "c" * 40}]})

    runs = github.workflow_runs("a" * 40)

    assert [(entry.id, entry.workflow, entry.completed, entry.conclusion) for entry in runs] == [
        (2, "train.yml", False, ""),
        (1, "train.yml", True, "failure"),
    ]


@pytest.mark.parametrize(
    ("path", "event", "own"),
    [
        ("ci.yml@refs/pull/3/head", "pull_request", True),
        ("ci.yml@refs/pull/3/head", "pull_request_sync", True),
        # Of another one with the same head, which may have another base: also its pull_request_target.
        ("ci.yml@refs/pull/4/head", "pull_request", False),
        ("ci.yml@refs/heads/main", "push", False),
        (".github/workflows/ci.yml", "pull_request", True),
        (".github/workflows/ci.yml", "pull_request_target", False),
        (".github/workflows/ci.yml", "push", False),
    ],
)
def test_s19_a_run_is_of_one_pull_request(
    github: forge.Forge, server: Server, path: str, event: str, own: bool
) -> None:
    run = {"id": 1, "path": path, "event": event, "head_sha": "a" * 40, "status": "queued", "html_url": ""}
    server.answer(
        200,
        {
            "total_count": 2,
            "workflow_runs": [run, {**run, "path": f".github/workflows/more/{path.rpartition('/')[2]}"}],
        },
    )
    more, found = sorted(github.workflow_runs("a" * 40), key=lambda one: len(one.workflow), reverse=True)
    assert (found.workflow, found.is_of(3)) == ("ci.yml", own)
    assert more.workflow != "ci.yml"


def test_a_failing_forge_is_asked_again(github: forge.Forge, server: Server) -> None:
    server.answer(502, {"message": "Bad gateway"})
    server.answer(200, PULL)

    assert github.pull_request(7).number == 7
    assert len(server.asked) == 2


def test_a_comment_that_may_have_been_written_is_not_written_twice(github: forge.Forge, server: Server) -> None:
    server.answer(502, {"message": "Bad gateway"})

    with pytest.raises(forge.ForgeError, match=r"HTTP 502: Bad gateway\. The forge is failing: look at its log"):
        github.comment(7, "text")

    assert len(server.asked) == 1


def test_a_refusal_names_the_forges_reason_and_the_fix(github: forge.Forge, server: Server) -> None:
    server.answer(422, {"message": "Validation Failed", "errors": [{"message": "No commits between main and change"}]})

    with pytest.raises(forge.ForgeError) as caught:
        github.create_pull_request("Change", "", "change", "main")

    assert caught.value.status == 422
    assert "Validation Failed; No commits between main and change" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_unreachable_forge_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with (
        closing(forge.connect("github", "http://127.0.0.1:9", "ml/platform", None)) as client,
        pytest.raises(forge.ForgeError, match=r"no answer: .*Is the forge running, and is its address right\?"),
    ):
        client.describe()


@pytest.mark.parametrize(
    ("kind", "repository", "message"),
    [("svn", "ml/platform", "use one of gitea, github"), ("gitea", "platform", "not of the form owner/name")],
)
def test_what_cannot_be_a_forge_is_refused(kind: str, repository: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forge.connect(kind, "http://127.0.0.1", repository, None)


def test_credentials_do_not_show() -> None:
    assert "hidden" not in repr([forge.Token("hidden"), forge.Password("member", "hidden")])
