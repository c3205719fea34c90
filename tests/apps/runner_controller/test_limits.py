"""One person's jobs leave room for those of others, and for main's."""

import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from runner_harness.cluster import Cluster
from runner_harness.forge import REPOSITORY, Forge
from runner_harness.kubelet import Kubelet
from runner_harness.process import eventually

pytestmark = [pytest.mark.tools, pytest.mark.usefixtures("controller")]

# The limit of the controller's own pod.
MEMORY = 256 << 20

GATE = """\
name: gate
on: {pull_request_target: {}}
permissions: {contents: read}
jobs:
  judge:
    runs-on: ml-cpu
    steps:
      - name: judge
        run: echo judged
"""

# Writes past act into the container's log, as anything may that runs there.
TO_THE_LOG = """\
pid=$PPID
while [ "$(cat /proc/$pid/comm)" != act ]; do pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status); done
log=/proc/$pid/fd/1
"""


class Controller(Protocol):
    """The fixture's controller."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def page(self, path: str) -> httpx.Response: ...
    def peak_memory(self) -> int: ...
    def log(self) -> str: ...


@pytest.fixture(scope="module", autouse=True)
def main(forge: Forge, node: Kubelet) -> None:
    """Main, with a gate of its own."""
    forge.push("main", {".github/workflows/gate.yml": GATE})


@pytest.fixture(autouse=True)
def nothing_left(forge: Forge, kubernetes: Cluster) -> Iterator[None]:
    """Whatever a test left running ends with it."""
    yield
    for run in forge.runs():
        if run["status"] != "completed":
            forge.cancel(run)
    eventually(lambda: not kubernetes.objects("pods"), "all pods are deleted", 60)


def start(forge: Forge, name: str, script: str, *, user: str = "member", job: str = "") -> dict[str, Any]:
    """Push a branch with a workflow of one job as a person; its run."""
    text = f"""\
name: {name}
on: {{push: {{branches: [{name}]}}}}
permissions: {{contents: read}}
jobs:
  work:
    runs-on: ml-cpu
{textwrap.indent(textwrap.dedent(job), "    ")}
    steps:
      - name: work
        run: |
{textwrap.indent(script, "          ")}
      - name: after
        run: echo after
"""
    return forge.run_of(f"{name}.yml", forge.push(name, {f".github/workflows/{name}.yml": text}, user=user))


def sleeper(forge: Forge, name: str, user: str = "member") -> dict[str, Any]:
    """A job that runs until it is cancelled, once it runs."""
    run = start(forge, name, "sleep 600", user=user)
    eventually(lambda: forge.step(run, "work").status == "running", f"{name} runs", 60)
    return run


def waits(forge: Forge, run: dict[str, Any]) -> bool:
    """Whether a job's log says that it waits, and no more."""
    lines = forge.log(run).splitlines()
    return bool(lines) and lines[-1].startswith("Waiting for a place in the pool")


def judged(forge: Forge, name: str) -> float:
    """Open a pull request of a branch; the seconds until main's gate has judged it."""
    before = max((run["id"] for run in forge.runs()), default=0)
    forge.push(name, {f"{name}.txt": "1\n"})
    forge.api("POST", f"/repos/{REPOSITORY}/pulls", json={"head": name, "base": "main", "title": name})
    began = time.monotonic()

    def done() -> bool:
        runs = [run for run in forge.runs() if run["id"] > before and run["path"].startswith("gate.yml@")]
        return bool(runs) and runs[0].get("conclusion") == "success"

    eventually(done, f"{name} is judged", 90)
    return time.monotonic() - began


def test_s12_two_sleeping_jobs_leave_the_gate_of_another_pull_request(forge: Forge) -> None:
    for name in ("asleep-1", "asleep-2"):
        sleeper(forge, name)
    third = start(forge, "asleep-3", "sleep 600")
    eventually(lambda: waits(forge, third), "the third waits", 30)
    assert judged(forge, "innocent") < 60
    assert waits(forge, third)


def test_s12_who_has_no_job_running_goes_before_who_has(forge: Forge) -> None:
    first, _ = sleeper(forge, "greedy-1"), sleeper(forge, "greedy-2")
    third = start(forge, "greedy-3", "sleep 600")
    eventually(lambda: waits(forge, third), "the third waits", 30)
    other = start(forge, "modest", "echo done", user="root")
    eventually(lambda: waits(forge, other), "the other person's waits", 30)
    forge.cancel(first)
    assert forge.finished(other, 60)["conclusion"] == "success"
    assert forge.step(other, "work").lines == ["done"]
    eventually(lambda: forge.step(third, "work").status == "running", "the third runs in its turn", 60)


def test_s12_who_waits_keeps_the_place_when_the_controller_restarts(
    forge: Forge, kubernetes: Cluster, controller: Controller
) -> None:
    first, _ = sleeper(forge, "kept-1"), sleeper(forge, "kept-2")
    third = start(forge, "kept-3", "echo done")
    eventually(lambda: waits(forge, third), "the third waits", 30)
    controller.kill()
    controller.start()
    time.sleep(3)
    assert waits(forge, third)
    assert len(kubernetes.objects("pods")) == 3
    forge.cancel(first)
    assert forge.finished(third, 60)["conclusion"] == "success"
    assert forge.log(third).count("Waiting for a place") == 1
    assert forge.step(third, "work").lines == ["done"]


def test_a_job_that_waits_can_be_cancelled(forge: Forge, kubernetes: Cluster) -> None:
    for name in ("busy-1", "busy-2"):
        sleeper(forge, name)
    third = start(forge, "unwanted", "echo never")
    eventually(lambda: waits(forge, third), "the third waits", 30)
    forge.cancel(third)
    eventually(lambda: len(kubernetes.objects("pods")) == 2, "its pod is gone", 30)
    assert forge.finished(third)["conclusion"] == "cancelled"
    assert "never" not in forge.log(third)


def test_s12_the_pool_caps_the_time_limit(forge: Forge, kubernetes: Cluster) -> None:
    run = start(forge, "long", "sleep 600", job="timeout-minutes: 1440")
    eventually(lambda: forge.step(run, "work").status == "running", "the job runs", 30)
    [pod] = kubernetes.objects("pods")
    assert pod["spec"]["activeDeadlineSeconds"] == 120 * 60
    assert "timeout-minutes is 1440, and pool ml-cpu gives untrusted jobs 120 minutes" in forge.log(run)


def test_s27_a_password_in_an_index_address_is_masked(forge: Forge) -> None:
    run = start(forge, "index", 'echo "installs from $UV_INDEX_URL"')
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    assert forge.step(run, "work").lines == ["installs from https://***@index.example/simple"]


@pytest.mark.attacks
@pytest.mark.parametrize(
    ("name", "script", "said"),
    [
        ("line", "{ head -c 134217728 /dev/zero | tr '\\0' x; echo; } > $log", " bytes more]"),
        (
            "lines",
            "row=$(head -c 60000 /dev/zero | tr '\\0' x); for i in $(seq 2200); do echo $row; done > $log",
            "##[warning]This log is full: what follows is not kept. The job goes on",
        ),
    ],
)
def test_s6_a_flood_stops_nobody(forge: Forge, controller: Controller, *, name: str, script: str, said: str) -> None:
    flood = start(forge, f"flood-{name}", TO_THE_LOG + script)
    eventually(lambda: forge.step(flood, "work").status == "running", "the flood runs", 60)
    slowest = 0.0

    def ended() -> bool:
        nonlocal slowest
        began = time.monotonic()
        assert controller.page("/livez").status_code == 200
        slowest = max(slowest, time.monotonic() - began)
        return forge.job(flood)["status"] == "completed"

    assert judged(forge, f"dry-{name}") < 60
    eventually(ended, "the flood ends", 240)
    assert slowest < 5
    job = forge.job(flood)
    assert job["conclusion"] == "success", forge.log(flood)[-2000:]
    assert [step["conclusion"] for step in job["steps"]] == ["success", "success"]
    log = forge.log(flood)
    assert said in log
    assert log.splitlines()[-1] == "Job succeeded"
    assert len(log) < 40 << 20
    assert controller.peak_memory() < MEMORY


def test_s6_rows_that_the_cluster_rotated_away_are_said_to_be_missing(
    forge: Forge, kubernetes: Cluster, controller: Controller, work: Path
) -> None:
    run = start(forge, "rotated", "for number in $(seq 30); do echo $number; sleep 0.5; done")
    eventually(lambda: len(forge.step(run, "work").lines) > 5, "the first rows show", 30)
    controller.kill()
    [pod] = kubernetes.objects("pods")
    [log] = (work / "kubelet").glob(f"{pod['metadata']['name']}-*/job.log")
    held = forge.log(run).splitlines()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[-3:]))
    controller.start()
    assert forge.finished(run, 60)["conclusion"] == "success", forge.log(run)
    rows = forge.log(run).splitlines()
    assert rows[: len(held)] == held
    assert rows[len(held)].startswith("##[warning]Lines are missing here")
    assert rows[-3:] == ["30", "after", "Job succeeded"]


def test_a_checkout_waits_for_a_forge_that_is_away(forge: Forge, kubernetes: Cluster, node: Kubelet) -> None:
    checkout = "actions/checkout@08eba0b27e820071cde6df949e0beb9ba4906955"
    node.cordoned = True
    try:
        text = f"""\
name: patient
on: {{push: {{branches: [patient]}}}}
permissions: {{contents: read}}
jobs:
  work:
    runs-on: ml-cpu
    steps:
      - uses: {checkout}
        with: {{persist-credentials: false}}
      - name: work
        run: ls README.md || ls .github
"""
        sha = forge.push("patient", {".github/workflows/patient.yml": text}, user="member")
        run = forge.run_of("patient.yml", sha)
        eventually(lambda: kubernetes.objects("pods"), "the pod is made")
        forge.stop()
    finally:
        node.cordoned = False
    try:
        time.sleep(12)
    finally:
        forge.start()
    assert forge.finished(run, 60)["conclusion"] == "success", forge.log(run)
    assert "The forge does not answer; fetching again in 1 s" in forge.log(run)
