"""A forge that is away is waited for as long as somebody has patience; what it refuses is refused."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from forge.http import ForgeError, Session


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def waited(root: str, path: str, patience: float, method: str = "GET") -> float:
    waits: list[float] = []
    session = Session(root, None, sleep=waits.append, patience=patience)
    with pytest.raises(ForgeError):
        session.request(method, path)
    session.close()
    return sum(waits)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forge_that_is_away_is_waited_for(method: str) -> None:
    assert waited("http://127.0.0.1:1", "/", 0, method) == 0.5 + 1 + 2 + 4
    assert 300 <= waited("http://127.0.0.1:1", "/", 300, method) < 310


@pytest.mark.parametrize(("status", "seconds"), [(404, 0), (403, 0), (500, 7.5), (429, 7.5), (503, 303.5)])
def test_what_answers_is_not_away(server: str, status: int, seconds: float) -> None:
    assert waited(server, f"/{status}", 300) == seconds


def test_what_may_have_been_done_is_not_repeated(server: str) -> None:
    assert waited(server, "/502", 300, "POST") == 0
