"""The Kubernetes client's patience and its messages, against a server that misbehaves on purpose."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from plugins.kubernetes.api import Api, NotFoundError
from plugins.kubernetes.kinds import BY_TOKEN
from plugins.server import ProviderError

NAMESPACE = BY_TOKEN["kubernetes:core/v1:Namespace"]
Answer = tuple[int, dict[str, str], Any]


@contextmanager
def _server(answers: list[Answer]) -> Iterator[tuple[Api, list[tuple[str, dict[str, str]]]]]:
    """A server that gives these answers in turn, then the last one for ever; and the requests it got."""
    requests: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append((f"{self.command} {self.path}", dict(self.headers)))
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            payload = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base class looks these names up

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        kubeconfig = {
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        api = Api(json.dumps(kubeconfig))
        try:
            yield api, requests
        finally:
            api._client.close()
            server.shutdown()
            thread.join()


def test_a_server_that_is_busy_is_asked_again_when_it_says() -> None:
    busy: list[Answer] = [(429, {"Retry-After": "1"}, {}), (503, {"Retry-After": "0"}, {}), (200, {}, {"kind": "x"})]
    with _server(busy) as (api, requests):
        started = time.monotonic()
        assert api.get(NAMESPACE, None, "a") == {"kind": "x"}
        assert time.monotonic() - started >= 1
        assert len(requests) == 3


def test_a_token_is_sent() -> None:
    with _server([(200, {}, {})]) as (api, requests):
        api.delete(NAMESPACE, None, "a")
        (((line, headers)),) = requests
        assert line == "DELETE /api/v1/namespaces/a"
        assert headers["Authorization"] == "Bearer t"


def test_an_apply_is_ours_and_strict() -> None:
    with _server([(200, {}, {})]) as (api, requests):
        api.apply(NAMESPACE, {"metadata": {"name": "a"}})
        ((line, headers),) = requests
        assert line == "PATCH /api/v1/namespaces/a?fieldManager=pulumi-ml-platform&force=true&fieldValidation=Strict"
        assert headers["Content-Type"] == "application/apply-patch+yaml"


def test_a_refusal_is_the_servers_own_message() -> None:
    with (
        _server([(403, {}, {"message": "namespaces is forbidden"})]) as (api, _),
        pytest.raises(ProviderError, match="GET /api/v1/namespaces/a: namespaces is forbidden"),
    ):
        api.get(NAMESPACE, None, "a")
    with (
        _server([(502, {}, b"<html>bad gateway")]) as (api, _),
        pytest.raises(ProviderError, match="502 <html>bad gateway"),
    ):
        api.get(NAMESPACE, None, "a")


def test_what_is_not_there_is_not_a_failure_of_its_own() -> None:
    with _server([(404, {}, {"message": "not found"})]) as (api, _), pytest.raises(NotFoundError):
        api.get(NAMESPACE, None, "a")
