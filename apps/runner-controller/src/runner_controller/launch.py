"""Starts a task's Pod, or refuses the task, and takes up again the Pods of an earlier controller."""

import asyncio
import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from runner_controller import pod as pods
from runner_controller.condition import is_false
from runner_controller.kube import KubeClient, KubeError
from runner_controller.masking import Masker, secret_values
from runner_controller.pod import Record
from runner_controller.pools import LONGEST_MINUTES, Pool
from runner_controller.protocol import Result, RunnerClient, Task
from runner_controller.report import Reporter
from runner_controller.settings import Settings
from runner_controller.supervise import close, now, persistently, supervise
from runner_controller.transcript import Transcript
from runner_controller.trust import Trust, classify
from runner_controller.turns import Queue, Turn
from runner_controller.workflow import WorkflowError, parse

_log = logging.getLogger(__name__)

# How long a job may wait for an API server that is away; its log cannot say meanwhile what it waits for.
_CREATE_SECONDS = 120
# A job may wait for its place before it takes as long as a pool can give it.
_UPLOAD_SECONDS = 2 * LONGEST_MINUTES * 60


@dataclass(frozen=True)
class Accepted:
    """A task that has its Pod; `secrets` are the values in its payload. What else the task holds is the Pod's alone."""

    record: Record
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True)
class Launcher:
    """Runs tasks of one forge repository on one namespace."""

    kube: KubeClient
    settings: Settings

    async def accept(
        self, task: Task, pool: Pool, client: RunnerClient, queue: Queue
    ) -> tuple[Trust, Accepted | Result]:
        """Make a fetched task's Pod, which waits for its turn in the queue; or end the task without one: its result."""
        verdict = classify(task.context, self.settings.repository, self.settings.trusted_ref)
        if verdict.trust is Trust.REFUSED:
            return verdict.trust, await self._refuse(task.id, client, f"Refused: {verdict.reason}")
        try:
            # Beside the loop, which others wait for: a large workflow takes seconds.
            job = await asyncio.to_thread(parse, task.workflow)
        except WorkflowError as error:
            return verdict.trust, await self._refuse(task.id, client, str(error))
        if is_false(job.condition, task.context):
            reason = f"Skipped: its condition is false: {' '.join(str(job.condition).split())}"
            return verdict.trust, await self._end(task.id, client, Result.SKIPPED, reason)
        runner = client.credentials.uuid if client.credentials else ""
        record = pods.record(task, job, pool, runner=runner, verdict=verdict, now=now())
        turn = turn_of(record)
        refusal = queue.refusal(turn)
        if refusal:
            return verdict.trust, await self._refuse(task.id, client, refusal)
        if not queue.enter(turn):
            record = pods.held(record)
        try:
            pod = await self._create("pods", pods.build_pod(record, pool))
            upload = await self._upload(task, pool, verdict.trust)
            payload = await self._create("secrets", pods.build_payload(record, task, job, pod, upload))
        except KubeError as error:
            await self._discard(record.pod)
            reason = f"the job's pod could not be created: {error}"
            return verdict.trust, await self._refuse(task.id, client, reason)
        return verdict.trust, Accepted(record, pods.payload_secrets(payload))

    async def resume(self, record: Record, client: RunnerClient, queue: Queue) -> Result:
        """Bring a task to its end whose Pod an earlier controller made; the queue knows of it already."""
        payload = await persistently(lambda: self.kube.get("secrets", record.pod))
        if payload is None:
            await self._discard(record.pod)
            reason = "the runner stopped while it started this job; run the job again"
            return await self._refuse(record.task_id, client, reason)
        _log.info("task %d: taken up again", record.task_id)
        return await self.follow(Accepted(record, pods.payload_secrets(payload)), client, queue)

    async def abandon(self, task_id: int, client: RunnerClient) -> Result:
        """Fail a task that a fault of this program left halfway."""
        for pod in await persistently(lambda: self.kube.list("pods", pods.MANAGED_BY)):
            record = read_record(pod)
            if record is not None and record.task_id == task_id:
                await self._discard(record.pod)
        return await self._refuse(task_id, client, "a fault of the runner controller ended this job; its log says more")

    async def follow(self, accepted: Accepted, client: RunnerClient, queue: Queue) -> Result:
        """Bring a task to its end that has its Pod."""
        record = accepted.record
        masker = Masker([*accepted.secrets, *await self._secret_values(record)])
        transcript = Transcript(record.steps, masker, record.started)
        minutes = f"{record.timeout_seconds / 60:g}"
        transcript.note(record.started, f"Pod {record.pod} of pool {record.pool}, time limit {minutes} min")
        transcript.note(record.started, f"Trust: {record.trust} ({record.reason})")
        for note in record.notes:
            transcript.note(record.started, note)
        reporter = Reporter(client, record.task_id, transcript)
        return await supervise(record, self.kube, transcript, reporter, partial(self._called, record, queue))

    async def _upload(self, task: Task, pool: Pool, trust: Trust) -> str:
        """The address by which a run of a branch's code leaves what it made, or nothing; raises KubeError."""
        run, store = task.context.get("run_id"), self.settings.store
        if trust is not Trust.UNTRUSTED or not pool.upload_secret or store is None or not str(run).isdecimal():
            return ""
        credential = await self._secret(pool.upload_secret)
        try:
            return store.address(int(str(run)), credential, now(), _UPLOAD_SECONDS)
        except KeyError:
            _log.warning("Secret %s has no credential: runs cannot leave what they make", pool.upload_secret)
            return ""

    async def _called(self, record: Record, queue: Queue) -> datetime:
        """Wait for the task's turn and let its Pod start; when that was."""
        if record.called is not None:
            return record.called
        await queue.called(record.task_id)
        moment = now()
        try:
            await persistently(lambda: self.kube.merge("pods", record.pod, pods.call(moment)))
        except KubeError as error:
            if error.status != 404:  # who follows the Pod says that it is gone
                raise
        return moment

    async def _secret_values(self, record: Record) -> list[str]:
        """What must not show in the log of a job that holds these Secrets."""
        values: list[str] = []
        for name in record.masked:
            values += secret_values(await self._secret(name))
        return values

    async def _secret(self, name: str) -> dict[str, str]:
        """The values of a Secret by key; none where it is missing."""
        secret = await persistently(lambda: self.kube.get("secrets", name))
        encoded = (secret or {}).get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in encoded.items()}

    async def _refuse(self, task_id: int, client: RunnerClient, reason: str) -> Result:
        """Fail a task without a Pod."""
        return await self._end(task_id, client, Result.FAILURE, f"##[error]{reason}")

    async def _end(self, task_id: int, client: RunnerClient, result: Result, message: str) -> Result:
        """End a task without a Pod."""
        _log.info("task %d: %s", task_id, message)
        transcript = Transcript((), lambda text: text, now())
        transcript.finish(result, now(), message)
        await close(Reporter(client, task_id, transcript), task_id)
        return result

    async def _create(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create an object once, also when the server went away before it answered."""
        name, annotations = manifest["metadata"]["name"], manifest["metadata"].get("annotations")
        try:
            return await persistently(lambda: self.kube.create(kind, manifest), _CREATE_SECONDS)
        except KubeError as error:
            found = await persistently(lambda: self.kube.get(kind, name)) if error.status == 409 else None
            if found is None or found["metadata"].get("annotations") != annotations:
                raise
            return found

    async def _discard(self, pod: str) -> None:
        await persistently(lambda: self.kube.delete("pods", pod, 0))


def turn_of(record: Record) -> Turn:
    """A task's place in its pool's queue."""
    return Turn(record.task_id, record.trust, record.actor)


def read_record(pod: dict[str, Any]) -> Record | None:
    """The record on a Pod, or None when somebody spoilt it."""
    try:
        return Record.of_pod(pod)
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        _log.warning("pod %s has no readable task: %r", pod["metadata"]["name"], error)
        return None
