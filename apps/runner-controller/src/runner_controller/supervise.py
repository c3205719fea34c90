"""Brings one task from its Pod's creation to its reported end. The Pod goes last: it is the task's record."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from runner_controller import outcome
from runner_controller.kube import KubeClient, KubeError
from runner_controller.pod import Record
from runner_controller.pools import CHECKOUT_CONTAINER, JOB_CONTAINER
from runner_controller.protocol import ForgeError, Result, UnknownRunner, UnknownTask
from runner_controller.report import Reporter
from runner_controller.transcript import Transcript

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

FIRST_LINE = "run-job: the log of the steps begins"

_POLL_START_SECONDS = 0.25
_POLL_END_SECONDS = 0.5
_PUSH_SECONDS = 1.0
# How often a job that waits for a place is reported: it has no news, but the forge gives up one that is silent.
_WAITING_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 30.0

# How long a cancelled job may take for its `always()` steps; less than the kubelet's own grace in the pool's template.
_CANCEL_GRACE_SECONDS = 15
# How long after its own time limit a Pod may still claim to run, before the node is taken for dead.
_OVERDUE = timedelta(seconds=90)
# How often the log of an ended container is asked for again after a broken connection.
_LOG_ATTEMPTS = 10
# What is read ahead of a forge that does not take it, in bytes.
_BACKLOG_BYTES = 8 << 20


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Backoff:
    """Waits that double from `first` up to half a minute, until `reset`."""

    def __init__(self, first: float = 1.0) -> None:
        self._first = first
        self._next = first

    async def wait(self) -> None:
        """Sleep once."""
        await asyncio.sleep(self._next)
        self._next = min(self._next * 2, _LONGEST_BACKOFF_SECONDS)

    def reset(self) -> None:
        """Start again from the shortest wait."""
        self._next = self._first


async def persistently(call: Callable[[], Awaitable[Answer]], seconds: float = math.inf) -> Answer:
    """The answer to a call on the API server, which may be away for so long; raises KubeError if it says no."""
    backoff, last = Backoff(), time.monotonic() + seconds
    while True:
        try:
            return await call()
        except KubeError as error:
            if not error.passing or time.monotonic() > last:
                raise
            _log.warning("trying again: %s", error)
            await backoff.wait()


async def supervise(
    record: Record,
    kube: KubeClient,
    transcript: Transcript,
    reporter: Reporter,
    called: Callable[[], Awaitable[datetime]],
) -> Result:
    """Follow a task's Pod, report it, and delete the Pod. Cancelling this coroutine leaves the Pod for a later one.

    `called` returns when the Pod may start, once it may.
    """
    turn = asyncio.ensure_future(called())
    follow = asyncio.create_task(_follow(record, kube, transcript, reporter, turn))
    try:
        stopped_by_forge = await _push_until(follow, reporter, record, turn)
        if stopped_by_forge is None:
            result, message = follow.result()
        else:
            result = stopped_by_forge
            message = "Job cancelled" if result is Result.CANCELLED else "the forge ended the job"
            await _delete(record, kube, _CANCEL_GRACE_SECONDS)
            if turn.done():
                with suppress(TimeoutError):
                    await asyncio.wait_for(follow, _CANCEL_GRACE_SECONDS + 5)
    except (UnknownTask, UnknownRunner) as error:
        _log.warning("task %d: the forge no longer knows it, its pod is deleted: %s", record.task_id, error)
        await _delete(record, kube, 0)
        return Result.CANCELLED
    finally:
        turn.cancel()
        follow.cancel()
        await asyncio.gather(turn, follow, return_exceptions=True)
    transcript.finish(result, now(), message if result in (Result.SUCCESS, Result.SKIPPED) else f"##[error]{message}")
    await close(reporter, record.task_id)
    await _delete(record, kube, 0)
    return result


async def close(reporter: Reporter, task_id: int) -> None:
    """Report a finished task, trying until the forge takes it or no longer knows it."""
    backoff = Backoff()
    while True:
        try:
            await reporter.close()
            return
        except (UnknownTask, UnknownRunner) as error:
            _log.warning("task %d: the forge no longer knows it: %s", task_id, error)
            return
        except ForgeError as error:
            _log.warning("task %d: its result is not reported yet: %s", task_id, error)
            await backoff.wait()


async def _push_until(
    follow: "asyncio.Task[Any]", reporter: Reporter, record: Record, turn: "asyncio.Future[datetime]"
) -> Result | None:
    """Report until the Pod ended (None) or the forge says that the task is over (its result)."""
    backoff = Backoff(_PUSH_SECONDS)
    while not follow.done():
        try:
            held = await reporter.push()
            if held is not Result.UNSPECIFIED:
                return held
            backoff.reset()
            if turn.done():
                await asyncio.wait([follow], timeout=_PUSH_SECONDS)
            else:
                await asyncio.wait([turn], timeout=_WAITING_SECONDS)
        except (UnknownTask, UnknownRunner):
            raise
        except ForgeError as error:
            # The job runs on; what it says waits here and in the Pod's log.
            _log.warning("task %d: not reported: %s", record.task_id, error)
            await backoff.wait()
    return None


async def _follow(
    record: Record,
    kube: KubeClient,
    transcript: Transcript,
    reporter: Reporter,
    turn: "asyncio.Future[datetime]",
) -> tuple[Result, str]:
    """Read the Pod's logs until it ended; its result and closing line."""
    began = await turn
    last_moment = began + timedelta(seconds=record.start_timeout + record.timeout_seconds) + _OVERDUE
    try:
        async with asyncio.timeout((last_moment - now()).total_seconds()):
            for container in outcome.containers(record.trust):
                problem = await _wait_for_start(record, kube, container, began)
                if problem:
                    return Result.FAILURE, problem
                if not await _read(record, kube, container, transcript, reporter):
                    break
            ended = await _wait_for_end(record, kube)
            return outcome.judge(ended, transcript.job_result, transcript.incomplete, transcript.began)
    except TimeoutError:
        return Result.FAILURE, "the pod is past its time limit and nothing was heard of its end; its node may be gone"


async def _get(record: Record, kube: KubeClient) -> dict[str, Any] | None:
    """The task's Pod, or None when it is gone."""
    return await persistently(lambda: kube.get("pods", record.pod))


async def _wait_for_start(record: Record, kube: KubeClient, container: str, called: datetime) -> str | None:
    """Wait until a container runs or never will; a problem's text when waiting is over."""
    began = called if container == CHECKOUT_CONTAINER else now()
    while True:
        pod = await _get(record, kube)
        if pod is None or outcome.over(pod) or outcome.started(pod, container):
            return None
        if outcome.failed_before(pod, container):
            return None
        problem = outcome.start_problem(pod, (now() - began).total_seconds(), record.start_timeout)
        if problem:
            return problem
        await asyncio.sleep(_POLL_START_SECONDS)


async def _read(record: Record, kube: KubeClient, container: str, transcript: Transcript, reporter: Reporter) -> bool:
    """Feed a container's whole log to the transcript; False when nothing comes after this container."""
    since: datetime | None = None
    # `run-job` begins the log of the steps with this; one that begins otherwise has lost its beginning.
    begun = container != JOB_CONTAINER
    failures = 0
    while True:
        try:
            async for line in kube.logs(record.pod, container, since):
                since = line.time
                if not begun:
                    begun = True
                    if line.text == FIRST_LINE:
                        continue
                    await _skip_held(reporter)
                    transcript.lost(line.time)
                elif line.gap:
                    transcript.lost(line.time)
                transcript.feed(line.time, line.text, line.cut)
                while reporter.backlog > _BACKLOG_BYTES:
                    await asyncio.sleep(_PUSH_SECONDS)
            failures = 0
        except KubeError as error:
            _log.warning("task %d: %s", record.task_id, error)
            failures += 1
        pod = await _get(record, kube)
        if pod is None or not outcome.started(pod, container):
            return False
        ended = outcome.terminated(pod, container)
        if ended and not 0 < failures <= _LOG_ATTEMPTS:
            return not ended.get("exitCode")
        # The stream ends with the container, but its status comes later; or the connection broke: then read on.
        await asyncio.sleep(_POLL_END_SECONDS)


async def _skip_held(reporter: Reporter) -> None:
    """Rows of a log that lost its beginning are no longer those of an earlier reading with the same numbers."""
    backoff = Backoff()
    while True:
        try:
            await reporter.skip_held()
            return
        except (UnknownTask, UnknownRunner):
            return  # whoever reports hears it too
        except ForgeError as error:
            _log.warning("the rows that the forge holds are not known yet: %s", error)
            await backoff.wait()


async def _wait_for_end(record: Record, kube: KubeClient) -> dict[str, Any] | None:
    """The Pod once its phase, which tells a time-out from a failure, is final."""
    while True:
        pod = await _get(record, kube)
        if pod is None or outcome.over(pod):
            return pod
        if pod["metadata"].get("deletionTimestamp") and outcome.terminated(pod, JOB_CONTAINER):
            return pod
        await asyncio.sleep(_POLL_END_SECONDS)


async def _delete(record: Record, kube: KubeClient, grace_seconds: int) -> None:
    await persistently(lambda: kube.delete("pods", record.pod, grace_seconds))
