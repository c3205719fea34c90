"""Git against a forge that is away for a while: fetched and pushed when it is back, refused when it refuses."""

import http.server
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace

import pytest

from ci import git
from ci.failure import Failure
from settings import ROOT


class Handler(http.server.BaseHTTPRequestHandler):
    """Git's own server of repositories, once the statuses are used up with which the server answers before."""

    server: "Forge"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.statuses:
            self.send_response(self.server.statuses.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "PATH": os.environ["PATH"],
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(["git", "http-backend"], env=variables, input=body, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200").split()[0]))
        for name, value in {**lines, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Forge(http.server.ThreadingHTTPServer):
    """Serves the repositories below `root`, after some statuses that it answers with; refuses all until it starts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.statuses: list[int] = []
        self.thread: threading.Thread | None = None
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()

    def answer(self, *statuses: int) -> None:
        """Start, if not yet, and answer so first."""
        self.statuses[:] = statuses
        if self.thread is None:
            self.server_activate()
            self.thread = threading.Thread(target=self.serve_forever)
            self.thread.start()

    def stop(self) -> None:
        if self.thread is not None:
            self.shutdown()
            self.thread.join()
        self.server_close()


@dataclass(frozen=True)
class Place:
    """A forge's repository, and a clone that knows nothing of it yet."""

    root: Path
    forge: Forge
    clone: git.Repository

    @property
    def remote(self) -> git.Remote:
        return git.Remote(f"http://127.0.0.1:{self.forge.server_port}/platform.git", "token")

    def tip(self, branch: str = "main") -> str:
        return run(self.root / "platform.git", "rev-parse", branch)


def run(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    # The forge is never behind a proxy.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    run(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "platform.git")
    run(tmp_path, "clone", "--quiet", "platform.git", "author")
    run(tmp_path / "author", "commit", "--quiet", "--allow-empty", "--message=x")
    run(tmp_path / "author", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    run(tmp_path, "init", "--quiet", "clone")
    forge = Forge(tmp_path)
    yield Place(tmp_path, forge, git.Repository(tmp_path / "clone"))
    forge.stop()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited, on a clock of its own."""
    waited: list[float] = []
    monkeypatch.setattr(git, "time", SimpleNamespace(sleep=waited.append, monotonic=lambda: sum(waited)))
    return waited


def test_d15_a_forge_that_is_started_is_fetched_from_and_pushed_to(
    place: Place, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:

    def start(seconds: float) -> None:
        """The third wait is long enough; what answers first is not ready."""
        waits.append(seconds)
        if len(waits) == 3:
            place.forge.answer(503, 502)

    monkeypatch.setattr(git.time, "sleep", start)
    place.clone.fetch(place.remote, "+refs/heads/main:refs/ci/main")
    assert waits == [1, 2, 4, 8, 16]
    assert place.clone.commit("refs/ci/main") == place.tip()

    commit = place.clone.write_commit(place.tip(), "Next\n", {"a": b"b"})
    waits.clear()
    place.forge.answer(503)
    place.clone.push(place.remote, commit, "main")
    assert (waits, place.tip()) == ([1], commit)


def test_d15_a_push_whose_answer_is_lost_is_no_failure(place: Place, waits: list[float]) -> None:
    place.forge.answer()
    place.clone.fetch(place.remote, "+refs/heads/main:refs/ci/main")
    commit = place.clone.write_commit(place.tip(), "Next\n", {"a": b"b"})
    place.clone.push(place.remote, commit, "main")
    place.forge.answer(502)
    place.clone.push(place.remote, commit, "main")
    assert waits == [1]


def test_d15_a_forge_that_stays_away_is_given_up_after_minutes(
    place: Place, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for ask in asks(place):
        waits.clear()
        with pytest.raises(Failure, match=r"git (fetch|push to main) failed: .*127\.0\.0\.1 port"):
            ask()
        assert waits[:6] == [1, 2, 4, 8, 16, 30]
        assert 240 < sum(waits) <= 300
    assert "the forge does not answer git; asking again in 30 s" in capsys.readouterr().out


@pytest.mark.parametrize("status", [401, 403, 404])
def test_d15_what_the_forge_refuses_is_not_asked_again(place: Place, waits: list[float], status: int) -> None:
    for ask in asks(place):
        place.forge.answer(*[status] * 9)
        with pytest.raises(Failure):
            ask()
    assert waits == []


def test_d15_a_branch_that_moved_is_not_waited_for(place: Place, waits: list[float]) -> None:
    place.forge.answer()
    place.clone.fetch(place.remote, "+refs/heads/main:refs/ci/main")
    mine = place.clone.write_commit(place.tip(), "Mine\n", {"a": b"b"})
    run(place.root / "author", "commit", "--quiet", "--allow-empty", "--message=Theirs")
    run(place.root / "author", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    with pytest.raises(git.Moved):
        place.clone.push(place.remote, mine, "main")
    assert waits == []


def test_d15_a_checkout_and_a_report_are_as_patient_as_each_other() -> None:
    file = str(ROOT / "apps/runner-controller/job/run-job")
    spec = spec_from_loader("run_job", SourceFileLoader("run_job", file))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("FETCH_SECONDS", "LONGEST_WAIT", "PASSING", "SLOW"):
        assert getattr(git, name) == getattr(module, name), name


def asks(place: Place) -> tuple[Callable[[], None], Callable[[], None]]:
    run(place.clone.folder, "fetch", "--quiet", str(place.root / "platform.git"), "main")
    tip = place.tip()
    return (
        lambda: place.clone.fetch(place.remote, "+refs/heads/main:refs/ci/main"),
        lambda: place.clone.push(place.remote, tip, "main"),
    )
