"""The bot as a process: what wakes it, what it refuses, and that it can be stopped and killed at any time."""

import hashlib
import hmac
import socket
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from merge_bot.server import MOST_BODY
from runner_harness.process import eventually

pytestmark = pytest.mark.tools

Place = Any
Service = Any
SECRET = "webhook-secret-of-a-test"


def sign(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Gitea-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def post(service: Service, body: bytes, headers: Mapping[str, str | bytes]) -> int:
    raw = {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in headers.items()}
    return httpx.post(f"{service.url}/webhook", content=body, headers=raw, trust_env=False).status_code


def webhook_count(service: Service, signed: str) -> float:
    text = httpx.get(f"{service.url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if line.startswith(f'bot_webhooks_total{{signed="{signed}"}}')]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_an_approval_wakes_it(place: Place, service: Service) -> None:
    """It looks by itself once an hour only, so what merges is the forge's signed webhook."""
    hook = {
        "type": "gitea",
        "active": True,
        "config": {"url": f"{service.url}/webhook", "content_type": "json", "secret": SECRET},
        "events": ["push", "pull_request", "pull_request_review_approved", "issue_comment", "status"],
    }
    number = place.open({"ml/notes.md": "notes"})
    place.judge(number)
    service.start()
    place.api("POST", "/hooks", json=hook)
    place.review(number, "second")
    eventually(lambda: place.pull(number)["merged"], f"merged: {service.log()}", 30)
    assert webhook_count(service, "yes") >= 1
    assert webhook_count(service, "no") == 0
    assert service.stop() == 0, service.log()
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("service", [1], indirect=True)
def test_without_any_webhook_it_looks_by_itself(place: Place, service: Service) -> None:
    number = place.open({"ml/notes.md": "notes"})
    place.judge(number)
    service.start()
    place.review(number, "second")
    eventually(lambda: place.pull(number)["merged"], f"merged: {service.log()}", 30)
    assert webhook_count(service, "yes") == 0


def test_only_a_signed_webhook_of_bounded_size_is_taken(service: Service) -> None:
    service.start()
    body = b'{"action": "opened"}'
    assert post(service, body, {}) == 401
    assert post(service, body, sign(body, "another secret")) == 401
    assert post(service, body + b" ", sign(body)) == 401
    assert post(service, body, {"X-Gitea-Signature": b"\xff"}) == 401
    assert post(service, body, sign(body)) == 202
    assert httpx.get(f"{service.url}/webhook", trust_env=False).status_code == 405
    assert service.get("/somewhere") == 404
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2])), 5) as client:
        client.sendall(f"POST /webhook HTTP/1.1\r\nContent-Length: {MOST_BODY + 1}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413")
    assert SECRET not in service.log()


def test_clients_that_send_nothing_do_not_keep_others_out(service: Service) -> None:
    service.start()
    port = int(service.url.rpartition(":")[2])
    clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(60)]
    try:
        eventually(lambda: service.get("/livez") == 200, "others are answered again", 20)
    finally:
        for client in clients:
            client.close()


def test_killed_and_started_again_it_merges_once(place: Place, service: Service) -> None:
    number = place.open({"ml/notes.md": "notes"})
    place.judge(number)
    service.start()
    service.kill()
    place.review(number, "second")
    service.start()
    eventually(lambda: place.pull(number)["merged"], f"merged: {service.log()}", 30)
    assert service.stop() == 0, service.log()


def test_it_outlasts_a_forge_that_is_away(place: Place, service: Service) -> None:
    number = place.open({"ml/notes.md": "notes"})
    place.judge(number)
    service.start()
    place.forge.stop()
    body = b"{}"
    assert post(service, body, sign(body)) == 202
    eventually(lambda: "no answer" in service.log(), "it noticed", 30)
    assert service.get("/livez") == 200
    place.forge.start()
    place.review(number, "second")
    time.sleep(1)
    assert post(service, body, sign(body)) == 202
    eventually(lambda: place.pull(number)["merged"], f"merged: {service.log()}", 30)
    assert service.stop() == 0, service.log()
