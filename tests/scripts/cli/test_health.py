"""Probes tell a service that works from one that does not."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import health
from cli.failure import Failure
from cli.health import Check
from cli.kube import Kubectl
from settings import ROOT, Cluster, Paths


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names, and echoes what is posted."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()
        self.wfile.write((self.headers.get("Authorization") or "page").encode())

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.rfile.read(int(self.headers["Content-Length"])))

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


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=tmp_path / "state", cache=tmp_path / "cache")


@pytest.mark.parametrize(("status", "ok"), [(200, True), (401, True), (403, True), (404, False), (500, False)])
def test_a_refusal_for_want_of_a_login_is_an_answer(server: str, paths: Paths, status: int, ok: bool) -> None:
    check = health.answers("service", f"{server}/{status}", paths)
    assert check.ok is ok
    assert str(status) in check.detail
    assert bool(check.fix) is not ok


def test_no_answer_is_a_finding_with_a_fix(paths: Paths) -> None:
    check = health.answers("service", "http://127.0.0.1:1", paths)
    assert not check.ok
    assert "Connection refused" in check.detail
    assert "scripts/up" in check.fix


def test_a_proxy_is_not_asked(server: str, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert health.answers("service", f"{server}/200", paths).ok


def test_pages_are_read_with_a_login_and_missing_ones_are_empty(server: str) -> None:
    assert health.content(f"{server}/200") == "page"
    assert health.content(f"{server}/200", login="Basic abc") == "Basic abc"
    assert health.content("http://127.0.0.1:1") == ""
    assert health.post(f"{server}/", b"body", "text/plain") == b"body"


def test_without_a_cluster_every_probe_says_what_makes_one(cluster: Cluster, paths: Paths) -> None:
    kubectl = Kubectl(paths)
    for check in (health.kubernetes(kubectl, cluster, paths), health.node(kubectl, paths)):
        assert not check.ok
        assert "scripts/up" in check.fix


def test_every_part_of_the_platform_is_probed(cluster: Cluster, paths: Paths) -> None:
    names = [check.name for check in health.all_of(cluster, paths)]
    services = ["object store", "registry", "forge", "kubernetes", "node", "certificates", "network policy"]
    services += ["jobs' network", "argo cd"]
    assert names == [*services, *health.PLATFORM_APPLICATIONS]


def test_s1_without_a_cluster_policies_are_not_enforced(cluster: Cluster, paths: Paths) -> None:
    check = health.network_policy(Kubectl(paths), cluster, paths)
    assert not check.ok
    assert "scripts/up" in check.fix


@pytest.mark.parametrize(
    ("kept", "ok", "said"),
    [
        ('{"internet": true, "places": {}}', True, "jobs reach TCP 443 of public addresses"),
        ('{"internet": false, "places": {"10.9.0.1:3128": ["10.9.0.1"]}}', False, "the host's proxy"),
        ("", False, "egress.json: cannot be used"),
    ],
)
def test_s1_it_is_told_what_jobs_reach(paths: Paths, kept: str, ok: bool, said: str) -> None:
    folder = paths.state / "host"
    folder.mkdir(parents=True)
    (folder / "environment").write_text("PIP_INDEX_URL=http://127.0.0.1/simple\n")
    (folder / "egress.json").write_text(kept)
    check = health.jobs_egress(paths)
    assert check.ok is ok
    assert said in check.detail
    assert bool(check.fix) is not ok


def test_answers_keep_the_order_of_the_probes() -> None:
    probes = [lambda name=str(number): Check(name, True, "") for number in range(40)]
    assert [check.name for check in health.at_once(probes)] == [str(number) for number in range(40)]


def test_the_applications_that_up_waits_for_are_those_of_the_platform() -> None:
    overlays = {path.parents[1].name for path in ROOT.glob("apps/*/overlays/platform")}
    assert {"root", *overlays} == set(health.PLATFORM_APPLICATIONS)


def test_the_applications_are_asked_for_once_by_all_their_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def all_of(kubectl: object) -> list[Any]:
        asked.append(kubectl)
        raise Failure("the API server is away")

    monkeypatch.setattr(health.applications, "all_of", all_of)
    shared = health.Shared(Kubectl(Paths.from_environment()))
    for name in health.PLATFORM_APPLICATIONS:
        with pytest.raises(Failure, match="is away"):
            shared.application(name)
    assert len(asked) == 1
