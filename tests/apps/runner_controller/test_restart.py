"""Jobs outlive the controller and the forge."""

from typing import Any, Protocol

import httpx
import pytest

from runner_harness.cluster import Cluster
from runner_harness.forge import Forge
from runner_harness.process import eventually

pytestmark = [pytest.mark.tools, pytest.mark.faults]

NUMBERS = [str(number) for number in range(1, 21)]


class Controller(Protocol):
    """The fixture's controller."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def stop(self) -> int: ...
    def log(self) -> str: ...
    def page(self, path: str) -> httpx.Response: ...


def start(forge: Forge, name: str) -> dict[str, Any]:
    """Start a job that counts to twenty in ten seconds; its run, once the first number shows."""
    text = f"""\
name: {name}
on: {{push: {{branches: [{name}]}}}}
permissions: {{contents: read}}
jobs:
  count:
    runs-on: ml-cpu
    steps:
      - name: count
        run: for number in $(seq 20); do echo "$number"; sleep 0.5; done
      - name: after
        run: echo after
"""
    run = forge.run_of(f"{name}.yml", forge.push(name, {f".github/workflows/{name}.yml": text}))
    eventually(lambda: forge.step(run, "count").lines, "the first number shows")
    return run


def check(forge: Forge, kubernetes: Cluster, run: dict[str, Any]) -> None:
    """The job succeeded and each of its rows shows once."""
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    assert forge.step(run, "count").lines == NUMBERS
    assert forge.step(run, "after").lines == ["after"]
    assert forge.log(run).splitlines()[-1] == "Job succeeded"
    eventually(lambda: not kubernetes.objects("pods"), "the pod is deleted")


def test_killed_controller_takes_the_job_up_again(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    run = start(forge, "resume")
    controller.kill()
    controller.start()
    assert forge.job(run)["status"] == "in_progress"
    check(forge, kubernetes, run)


def test_job_that_ended_meanwhile_is_reported(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    run = start(forge, "meanwhile")
    controller.kill()
    eventually(lambda: kubernetes.objects("pods")[0]["status"]["phase"] == "Succeeded", "the job ends unseen", 40)
    controller.start()
    check(forge, kubernetes, run)


def test_stopped_controller_leaves_its_job_to_the_next(
    forge: Forge, kubernetes: Cluster, controller: Controller
) -> None:
    run = start(forge, "stopped")
    assert controller.stop() == 0
    assert len(kubernetes.objects("pods")) == 1
    controller.start()
    check(forge, kubernetes, run)


def test_job_runs_on_while_the_forge_is_away(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    run = start(forge, "away")
    forge.stop()
    try:
        eventually(lambda: "not reported" in controller.log(), "the controller notices", 30)
    finally:
        forge.start()
    check(forge, kubernetes, run)


def test_job_runs_on_while_the_api_server_is_away(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    run = start(forge, "apiserver")
    kubernetes.stop_server()
    try:
        eventually(lambda: "trying again: GET pods/" in controller.log(), "the controller notices", 30)
    finally:
        kubernetes.start_server()
    check(forge, kubernetes, run)


def test_pod_without_its_payload_fails_the_job(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    run = start(forge, "orphan")
    controller.kill()
    [pod] = kubernetes.objects("pods")
    kubernetes.call("DELETE", f"/api/v1/namespaces/runner-controller/secrets/{pod['metadata']['name']}")
    controller.start()
    assert forge.finished(run)["conclusion"] == "failure"
    assert "the runner stopped while it started this job; run the job again" in forge.log(run)
    eventually(lambda: not kubernetes.objects("pods"), "the pod is deleted")


def test_removed_runner_registers_again(forge: Forge, kubernetes: Cluster, controller: Controller) -> None:
    [runner] = forge.api("GET", "/admin/actions/runners")["runners"]
    forge.api("DELETE", f"/admin/actions/runners/{runner['id']}")

    def another() -> bool:
        runners = forge.api("GET", "/admin/actions/runners")["runners"]
        return bool(runners) and runners[0]["id"] != runner["id"]

    eventually(another, "a new runner is registered", 30)
    check(forge, kubernetes, start(forge, "again"))


def test_metrics_count_tasks(controller: Controller) -> None:
    text = controller.page("/metrics").text
    assert 'runner_tasks_total{pool="ml-cpu",result="success",trust="untrusted"}' in text
    assert controller.page("/readyz").status_code == 200
    assert controller.page("/nothing").status_code == 404
