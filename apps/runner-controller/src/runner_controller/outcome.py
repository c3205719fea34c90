"""Judges a task's Pod: whether it cannot start, and how it ended."""

from collections.abc import Mapping
from typing import Any

from runner_controller.pools import CHECKOUT_CONTAINER, FETCH_CONTAINER, JOB_CONTAINER
from runner_controller.protocol import Result
from runner_controller.trust import Trust

# The kubelet tries a pull again by itself; a registry that restarts is back within this.
_PULL_PATIENCE_SECONDS = 60

_VANISHED = "the job's pod was deleted while it ran, by hand or because its node went away"

_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})


def containers(trust: str) -> tuple[str, ...]:
    """The containers of a task's Pod, in the order in which they run."""
    fetch = (FETCH_CONTAINER,) if trust == Trust.EVALUATION.value else ()
    return CHECKOUT_CONTAINER, *fetch, JOB_CONTAINER


def failed_before(pod: Mapping[str, Any], container: str) -> str:
    """The container whose failure means that this one never runs, or nothing."""
    earlier = () if container == CHECKOUT_CONTAINER else (CHECKOUT_CONTAINER, FETCH_CONTAINER)
    return next((name for name in earlier if (terminated(pod, name) or {}).get("exitCode")), "")


def container_status(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """The status of a container, empty while the kubelet has written none."""
    status = pod.get("status") or {}
    entries: list[Mapping[str, Any]] = [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]
    return next((entry for entry in entries if entry["name"] == container), {})


def terminated(pod: Mapping[str, Any], container: str) -> Mapping[str, Any] | None:
    """How a container ended, or None while it has not."""
    return (container_status(pod, container).get("state") or {}).get("terminated")


def started(pod: Mapping[str, Any], container: str) -> bool:
    """Whether a container runs or ran, so that it has a log."""
    state = container_status(pod, container).get("state") or {}
    return "running" in state or "terminated" in state


def over(pod: Mapping[str, Any]) -> bool:
    """Whether no container of the Pod will run (any more)."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def start_problem(pod: Mapping[str, Any], waited: float, budget: float) -> str | None:
    """Why a Pod that has not started after `waited` seconds is given up, or None to wait on (at most `budget`)."""
    details = []
    for container in (CHECKOUT_CONTAINER, FETCH_CONTAINER, JOB_CONTAINER):
        waiting = (container_status(pod, container).get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _PULL_REASONS and waited > min(_PULL_PATIENCE_SECONDS, budget):
            return f"the image of container {container} cannot be pulled: {message or reason}"
        if reason == "InvalidImageName":
            return f"the image of container {container} has no valid name: {message}"
        if reason and reason != "PodInitializing":
            details.append(f"{container}: {reason} {message}".strip())
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            details.insert(0, f"no node can take it: {condition.get('message', '')}")
    if waited <= budget:
        return None
    return f"the pod did not start within {budget:.0f} s ({'; '.join(details) or 'no reason given'})"


def judge(
    pod: Mapping[str, Any] | None, job_result: Result | None, incomplete: bool = False, began: bool = True
) -> tuple[Result, str]:
    """The result of a task whose Pod ended (None: it vanished), with the line that closes its log.

    Of a log that is known to be incomplete nobody expects to say how the job ended: act's exit code does. `began`:
    whether a step did; of a job whose `if` does not hold act says nothing at all.
    """
    trouble = _VANISHED if pod is None else _cluster_trouble(pod) or _container_trouble(pod)
    if pod is None or trouble:
        return Result.FAILURE, trouble
    job = terminated(pod, JOB_CONTAINER) or {}
    code = job.get("exitCode", -1)
    if job_result is Result.FAILURE:
        return Result.FAILURE, "Job failed"
    if code:
        signal = f", signal {code - 128}" if code > 128 else ""
        return Result.FAILURE, f"the job's process ended early (exit code {code}{signal})"
    if job_result is None and incomplete:
        job_result = Result.SUCCESS
    elif job_result is None and not began:
        job_result = Result.SKIPPED
    elif job_result is None:
        return Result.FAILURE, "the job ended without saying how; its log is cut short"
    return job_result, "Job skipped" if job_result is Result.SKIPPED else "Job succeeded"


def _cluster_trouble(pod: Mapping[str, Any]) -> str:
    """Why the cluster stopped the whole Pod, or nothing."""
    status = pod.get("status") or {}
    reason, message = status.get("reason", ""), status.get("message", "")
    if reason == "DeadlineExceeded":
        minutes = pod["spec"].get("activeDeadlineSeconds", 0) / 60
        return f"the job ran longer than its timeout-minutes ({minutes:g}) and was stopped"
    return f"the job's pod was stopped by the cluster: {reason}: {message}".rstrip(": ") if reason else ""


def _container_trouble(pod: Mapping[str, Any]) -> str:
    """Why the job's steps did not end by themselves, or nothing."""
    for container in (CHECKOUT_CONTAINER, FETCH_CONTAINER, JOB_CONTAINER):
        if (terminated(pod, container) or {}).get("reason") == "OOMKilled":
            return f"the job ran out of memory (limit {_memory_limit(pod, container)}) and was killed"
    if failed := failed_before(pod, JOB_CONTAINER):
        what = "the repository could not be checked out" if failed == CHECKOUT_CONTAINER else "nothing could be fetched"
        return f"{what} (see above)"
    if pod["metadata"].get("deletionTimestamp"):
        return _VANISHED
    if terminated(pod, JOB_CONTAINER) is None:
        return f"the job's container never ran (pod {(pod.get('status') or {}).get('phase', 'Unknown')})"
    return ""


def _memory_limit(pod: Mapping[str, Any], name: str) -> str:
    containers = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    [resources] = [entry.get("resources") or {} for entry in containers if entry["name"] == name]
    return str((resources.get("limits") or {}).get("memory", "of the node"))
