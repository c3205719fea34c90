"""The program in a job's pod: what it waits for, and what it ends a job for."""

import http.server
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUN_JOB = Path(__file__).resolve().parents[3] / "apps" / "runner-controller" / "job" / "run-job"


@pytest.fixture
def run_job(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_loader("run_job", SourceFileLoader("run_job", str(RUN_JOB)))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    # The forge is never behind a proxy.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return module


class Forge(http.server.ThreadingHTTPServer):
    """Answers git with one status after the other, the last one for ever."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.asked = 0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    """Counts what it is asked."""

    server: Forge

    def do_GET(self) -> None:
        self.send_response(self.server.statuses[min(self.server.asked, len(self.server.statuses) - 1)])
        self.server.asked += 1
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def waits(run_job: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited, on a clock of its own."""
    waited: list[float] = []
    monkeypatch.setattr(run_job.time, "sleep", waited.append)
    monkeypatch.setattr(run_job.time, "monotonic", lambda: sum(waited))
    return waited


@pytest.fixture
def source(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Any]:
    running: list[Forge] = []

    def start(*statuses: int) -> Forge:
        server = Forge(list(statuses))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def fetch(run_job: ModuleType, source: Path, url: str) -> str:
    with pytest.raises(run_job.JobError) as caught:
        run_job.fetch(source, {}, url, "HEAD")
    return str(caught.value)


def test_a_forge_that_is_away_is_waited_for_some_minutes(
    run_job: ModuleType, source: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "127.0.0.1 port 1" in fetch(run_job, source, "http://127.0.0.1:1/ml/platform")
    assert waits[:6] == [1, 2, 4, 8, 16, 30]
    assert 240 < sum(waits) <= 300
    assert capsys.readouterr().out.count("The forge does not answer") == len(waits) < 16


def test_a_forge_that_starts_is_waited_for(run_job: ModuleType, source: Path, waits: list[float], serve: Any) -> None:
    forge = serve(503, 502, 404)
    assert "not found" in fetch(run_job, source, f"http://127.0.0.1:{forge.server_port}/ml/platform")
    assert waits == [1, 2]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_the_forge_refuses_is_not_asked_again(
    run_job: ModuleType, source: Path, waits: list[float], serve: Any, status: int
) -> None:
    forge = serve(status)
    fetch(run_job, source, f"http://127.0.0.1:{forge.server_port}/ml/platform")
    assert waits == []
    assert forge.asked <= 2  # git itself asks again without a login


def test_s7_a_job_that_fills_the_disk_is_ended(
    run_job: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert run_job.shortage([tmp_path, tmp_path / "none"], free // 2) == ""
    with subprocess.Popen(["sleep", "60"]) as job:
        began = time.monotonic()
        run_job.keep_room(job, [tmp_path], free * 2)
        assert job.wait(10) == -9
    assert time.monotonic() - began < 10
    assert "the runner's disk is nearly full" in capsys.readouterr().out


def test_s7_a_branchs_job_does_not_start_on_a_full_disk(run_job: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "payload").mkdir()
    description = {"context": {}, "trusted": False}
    with pytest.raises(run_job.JobError, match="scripts/doctor says more"):
        run_job.run(tmp_path / "payload", tmp_path, description, shutil.disk_usage(tmp_path).free * 2)


def test_s7_the_pool_says_how_much_room_is_left(run_job: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNNER_DISK_RESERVE_GIB", raising=False)
    assert run_job.reserve() is None
    monkeypatch.setenv("RUNNER_DISK_RESERVE_GIB", "4")
    assert run_job.reserve() == 4 << 30
