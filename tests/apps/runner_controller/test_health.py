"""The probes of a controller that has much to do, and of one that is stuck."""

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml

import coroutines
from runner_controller import health
from runner_controller.health import Health

DEPLOYMENT = Path(__file__).resolve().parents[3] / "apps" / "runner-controller" / "base" / "deployment.yaml"


def probe(port: int, timeout: float) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False, timeout=timeout).status_code


def test_s6_a_busy_loop_does_not_keep_the_probe_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a loop that stands still for longer than it may is not alive."""
    clock, answers = [0.0], []
    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    state = Health()

    def ask() -> None:
        for clock[0] in (30.0, 95.0):
            answers.append(probe(port, timeout=10))

    async def work() -> None:
        beat = asyncio.create_task(state.beat())
        await asyncio.sleep(0.1)
        asking = threading.Thread(target=ask)
        asking.start()
        asking.join()  # nothing else gets its turn in the loop meanwhile
        await asyncio.sleep(1.5)
        answers.append(await asyncio.to_thread(probe, port, 10))
        beat.cancel()

    with state.serve(0, "127.0.0.1") as port:
        coroutines.run(work())
    assert answers == [200, 503, 200]


def test_s6_the_kubelet_gives_the_probe_time() -> None:
    deployment = yaml.safe_load(DEPLOYMENT.read_text())
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    probe_of = container["livenessProbe"]
    assert probe_of["timeoutSeconds"] >= 5
    # Not even a loop that is about to be called stuck is killed at its first silence.
    assert probe_of["periodSeconds"] * probe_of["failureThreshold"] >= 90
    assert container["readinessProbe"]["timeoutSeconds"] >= 5


def test_pages() -> None:
    state = Health()
    assert state.page("/readyz")[0] == 503
    state.contact("ml-cpu")
    assert state.page("/readyz")[0] == 200
    assert b"runner_broken_pools" in state.page("/metrics")[2]
    assert state.page("/none")[0] == 404
