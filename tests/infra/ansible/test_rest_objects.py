"""Objects of a REST API, against a small one that keeps what it is given."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.rest import Api, basic


class Store(ThreadingHTTPServer):
    """Keeps objects by path and every request that changed one. `created`: what a POST leaves, and where."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, Any] = {}
        self.created: dict[str, tuple[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.authorization = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        self.server.authorization = self.headers["Authorization"]
        found = self.server.objects.get(self.path)
        self.answer(404 if found is None else 200, found)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.path, body))
        if self.command == "POST" and self.path in self.server.created:
            self.server.objects.update([self.server.created[self.path]])
        self.answer(422 if body.get("bad") else 201, body)

    do_PUT = do_PATCH = do_POST  # noqa: N815

    def answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def ensure(library: Callable[[str], ModuleType], store: Store) -> Callable[..., str | None]:
    module = library("rest_objects")
    api = Api(store.url, basic("admin", "secret"))
    return lambda wanted, secrets=None, dry_run=False: module.ensure(api, wanted, secrets or {}, dry_run)


ORGANISATION = {
    "path": "orgs/ml",
    "create": {"path": "orgs"},
    "initial": {"username": "ml"},
    "desired": {"visibility": "private"},
}


def test_what_is_missing_is_created_with_its_initial_values(ensure: Any, store: Store) -> None:
    assert ensure(ORGANISATION) == "created orgs/ml"
    assert store.requests == [("POST", "/api/orgs", {"visibility": "private", "username": "ml"})]
    assert store.authorization == basic("admin", "secret")


def test_keys_that_a_creation_left_out_are_set_at_once(ensure: Any, store: Store) -> None:
    store.created = {"/api/orgs": ("/api/orgs/ml", {"visibility": "public"})}
    assert ensure(ORGANISATION) == "created orgs/ml"
    assert store.requests[1:] == [("PATCH", "/api/orgs/ml", {"visibility": "private"})]


def test_what_fits_is_left_alone_whatever_else_it_has(ensure: Any, store: Store) -> None:
    store.objects["/api/orgs/ml"] = {"visibility": "private", "id": 3}
    assert ensure(ORGANISATION) is None
    assert store.requests == []


def test_what_differs_is_updated_without_its_initial_values(ensure: Any, store: Store) -> None:
    store.objects["/api/orgs/ml"] = {"visibility": "public"}
    assert ensure(ORGANISATION) == "updated orgs/ml"
    assert store.requests == [("PATCH", "/api/orgs/ml", {"visibility": "private"})]


def test_an_element_of_a_list_is_found_and_updated_by_its_id(ensure: Any, store: Store) -> None:
    hook = {
        "path": "hooks",
        "find": {"config": {"url": "https://a"}},
        "initial": {"type": "gitea"},
        "always": {"config": {"secret": "$hook"}},
        "desired": {"active": True, "config": {"url": "https://a"}},
    }
    store.objects["/api/hooks"] = [{"id": 7, "active": True, "config": {"url": "https://b"}}]
    assert ensure(hook, {"hook": "s3cret"}) == "created hooks"
    store.objects["/api/hooks"] += [{"id": 8, "active": False, "config": {"url": "https://a"}}]
    assert ensure(hook, {"hook": "s3cret"}) == "updated hooks/8"
    config = {"url": "https://a", "secret": "s3cret"}
    assert store.requests == [
        ("POST", "/api/hooks", {"active": True, "config": config, "type": "gitea"}),
        ("PATCH", "/api/hooks/8", {"active": True, "config": config}),
    ]


def test_an_object_whose_condition_is_missing_is_left_alone(ensure: Any, store: Store) -> None:
    assert ensure(ORGANISATION | {"only_if": "branches/main"}) is None
    store.objects["/api/branches/main"] = {"name": "main"}
    assert ensure(ORGANISATION | {"only_if": "branches/main"}) == "created orgs/ml"


def test_a_dry_run_changes_nothing(ensure: Any, store: Store) -> None:
    assert ensure(ORGANISATION, dry_run=True) == "created orgs/ml"
    assert store.requests == []


def test_a_refusal_names_the_request_and_the_answer(ensure: Any) -> None:
    with pytest.raises(Exception, match=r"^POST .*/orgs: 422"):
        ensure(ORGANISATION | {"initial": {"bad": True}})


def test_an_unreachable_service_is_named(library: Any) -> None:
    module = library("rest_objects")
    with pytest.raises(module.ApiError, match=r"http://127\.0\.0\.1:1/"):
        module.ensure(Api("http://127.0.0.1:1", ""), ORGANISATION, {}, False)
