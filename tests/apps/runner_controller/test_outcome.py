"""How Pods that ended are judged, and Pods that do not start."""

from typing import Any

import pytest

from runner_controller.outcome import judge, start_problem
from runner_controller.protocol import Result

LIMITS = {"limits": {"memory": "6Gi"}}


def pod(checkout: dict | None = None, job: dict | None = None, deleted: bool = False, **status: Any) -> dict[str, Any]:
    def entry(name: str, state: dict | None) -> list[dict[str, Any]]:
        return [{"name": name, "state": state}] if state is not None else []

    return {
        "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {},
        "spec": {
            "activeDeadlineSeconds": 90,
            "initContainers": [{"name": "checkout"}],
            "containers": [{"name": "job", "resources": LIMITS}],
        },
        "status": {
            "initContainerStatuses": entry("checkout", checkout),
            "containerStatuses": entry("job", job),
            **status,
        },
    }


def ended(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason}}


DONE = ended(0, "Completed")


@pytest.mark.parametrize(
    ("pod", "said", "result", "message"),
    [
        (pod(DONE, DONE), Result.SUCCESS, Result.SUCCESS, "Job succeeded"),
        (pod(DONE, DONE), Result.SKIPPED, Result.SKIPPED, "Job skipped"),
        (pod(DONE, ended(1)), Result.FAILURE, Result.FAILURE, "Job failed"),
        (pod(DONE, DONE), None, Result.FAILURE, "the job ended without saying how; its log is cut short"),
        (pod(DONE, ended(1)), Result.SUCCESS, Result.FAILURE, "the job's process ended early (exit code 1)"),
        (pod(DONE, ended(143)), None, Result.FAILURE, "the job's process ended early (exit code 143, signal 15)"),
        (pod(DONE, ended(137, "OOMKilled")), None, Result.FAILURE, "ran out of memory (limit 6Gi)"),
        (pod(ended(137, "OOMKilled")), None, Result.FAILURE, "ran out of memory (limit of the node)"),
        (pod(ended(1)), None, Result.FAILURE, "the repository could not be checked out (see above)"),
        (pod(DONE, ended(137), reason="DeadlineExceeded"), None, Result.FAILURE, "its timeout-minutes (1.5)"),
        (pod(DONE, None, reason="Evicted", message="disk"), None, Result.FAILURE, "by the cluster: Evicted: disk"),
        (pod(DONE, DONE, deleted=True), Result.SUCCESS, Result.FAILURE, "the job's pod was deleted"),
        (pod(phase="Failed"), None, Result.FAILURE, "the job's container never ran (pod Failed)"),
        (None, Result.SUCCESS, Result.FAILURE, "the job's pod was deleted"),
    ],
)
def test_judge(pod: dict | None, said: Result | None, result: Result, message: str) -> None:
    judged, text = judge(pod, said)
    assert judged is result
    assert message in text


def test_s6_of_an_incomplete_log_the_exit_code_says_how_the_job_ended() -> None:
    assert judge(pod(DONE, DONE), None, incomplete=True)[0] is Result.SUCCESS
    assert judge(pod(DONE, ended(1)), None, incomplete=True)[0] is Result.FAILURE
    assert judge(pod(DONE, DONE), Result.FAILURE, incomplete=True)[0] is Result.FAILURE
    assert judge(pod(DONE, DONE), None)[0] is Result.FAILURE


def test_a_job_without_a_step_whose_act_ended_well_was_skipped() -> None:
    assert judge(pod(DONE, DONE), None, began=False)[0] is Result.SKIPPED
    assert judge(pod(DONE, ended(1)), None, began=False)[0] is Result.FAILURE
    assert judge(None, None, began=False)[0] is Result.FAILURE


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("pod", "waited", "problem"),
    [
        (pod(), 10, None),
        (pod(), 301, "did not start within 300 s (no reason given)"),
        (pod(waiting("PodInitializing")), 301, "no reason given"),
        (pod(waiting("ImagePullBackOff", "no such image")), 30, None),
        (pod(waiting("ImagePullBackOff", "no such image")), 61, "container checkout cannot be pulled: no such image"),
        (pod(DONE, waiting("ErrImagePull")), 61, "container job cannot be pulled: ErrImagePull"),
        (pod(waiting("InvalidImageName", "bad")), 1, "has no valid name: bad"),
        (pod(waiting("CreateContainerConfigError", "no secret")), 301, "CreateContainerConfigError no secret"),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "no cpu"}]),
            301,
            "within 300 s (no node can take it: no cpu)",
        ),
    ],
)
def test_start_problem(pod: dict, waited: float, problem: str | None) -> None:
    text = start_problem(pod, waited, 300)
    assert text is None if problem is None else problem in (text or "")
