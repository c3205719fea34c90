"""S7 and C12 on the platform: what one branch's jobs take leaves the gate of another pull request working."""

import re
import time

import pytest

from branch_jobs import BranchJobs
from cli import disk
from live import Platform, eventually

pytestmark = [pytest.mark.faults, pytest.mark.platform]

# In which the gate judges a pull request, whatever others do.
GATE_SECONDS = 60
GIB = 2**30
# The kubelet evicts pods of the platform below this (evictionHard), jobs end before (RUNNER_DISK_RESERVE_GIB).
EVICTION_GIB = disk.FULL_GIB / 2

# As long as the gate may take, and what comes before and after. What the scripts print is not in their text, which the
# log may show too.
HOLD = GATE_SECONDS + 90
ON = "the attack is on"
SLEEPS = f"""
import time
print("the attack", "is on", flush=True)
time.sleep({HOLD})
"""
# Twice what a pod may have, if it is let.
FORKS = f"""
import os, signal, time
made = []
try:
    while len(made) < 4000:
        if not (pid := os.fork()):
            signal.pause()
        made.append(pid)
except OSError as error:
    # Room for the threads of what runs the job, which is not what is attacked.
    for pid in made[-40:]:
        os.kill(pid, signal.SIGKILL)
        os.wait()
    print(f"refused after {{len(made)}} processes: {{error.strerror}}", flush=True)
print("the attack", "is on", flush=True)
time.sleep({HOLD})
for pid in made[:-40]:
    os.kill(pid, signal.SIGKILL)
"""
# 14 GiB in its work folder; what nobody counts yet when it is written is counted while it sleeps.
WRITES = """
import os, pathlib, time
folder = pathlib.Path(os.environ["RUNNER_WORK"]) / "filled"
folder.mkdir()
block = os.urandom(1 << 20) * 64
for number in range(224):
    (folder / str(number)).write_bytes(block)
    if number == 32:
        print("the attack", "is on", flush=True)
    time.sleep(0.1)
time.sleep(240)
print("nobody", "minds", flush=True)
"""
STOPPED = (
    r'Evicted: Usage of EmptyDir volume "work" exceeds the limit "10Gi"',
    r"Evicted: .*ephemeral.* limit",
    r"The job is ended: the runner's disk is nearly full \(.* GiB free, 4 are kept for the platform\)",
)


def another_is_judged(live: Platform) -> None:
    """Somebody's pull request gets its gate in time."""
    pull = live.propose("Say more", lambda text: f"{text}\nMore.\n", "LICENSE")
    try:
        assert live.gate(pull, GATE_SECONDS) == ("success", "nothing under ml/ changed")
    finally:
        live.drop(pull)


def test_c12_two_sleeping_jobs_leave_the_gate_working(live: Platform, jobs: BranchJobs) -> None:
    branches = [jobs.start(SLEEPS), jobs.start(SLEEPS)]
    for branch in branches:
        jobs.said(branch, ON, 180)
    another_is_judged(live)
    # They slept all the while: else nothing was shown.
    assert [branch for branch in branches if jobs.ended(branch)] == []
    for branch in branches:
        jobs.log(branch)


def test_s7_2000_processes_leave_the_gate_working_and_no_more_are_let(live: Platform, jobs: BranchJobs) -> None:
    branch = jobs.start(FORKS)
    jobs.said(branch, ON, 180)
    another_is_judged(live)
    assert jobs.ended(branch) is None
    log = jobs.log(branch)
    refused = re.search(r"refused after (\d+) processes: Resource temporarily unavailable", log)
    assert refused, log[-4000:]
    # A job may have that many, its own runner's threads among them (podPidsLimit).
    assert 1900 < int(refused[1]) < 2048
    live.settle(120)


def evicted(live: Platform) -> set[str]:
    """Pods that the kubelet has put out for want of room."""
    pods = live.kubectl.items("pods", "-A")
    return {one["metadata"]["name"] for one in pods if one["status"].get("reason") == "Evicted"}


def test_s7_10_gib_of_files_leave_the_gate_working_and_end_the_job(live: Platform, jobs: BranchJobs) -> None:
    def free() -> float:
        return disk.room(live.paths.state / "kubelet").free / GIB

    before, others = free(), evicted(live)
    assert before > disk.FULL_GIB + 4, f"{before:.1f} GiB free: too little to write in"
    branch = jobs.start(WRITES)
    jobs.said(branch, ON, 180)
    another_is_judged(live)
    least, log, deadline = free(), None, time.monotonic() + 420
    while (log := jobs.ended(branch)) is None:
        least = min(least, free())
        assert time.monotonic() < deadline, "nobody ended the job"
        time.sleep(0.5)
    assert "nobody minds" not in log
    assert any(re.search(pattern, log) for pattern in STOPPED), log[-4000:]
    # Long before anything of the platform's suffers, and what was written goes with its pod.
    assert least > EVICTION_GIB
    assert {name for name in evicted(live) - others if not name.endswith(branch)} == set()
    eventually(lambda: free() > before - 2 or None, 120, "the room that was taken")
    live.settle(120)
