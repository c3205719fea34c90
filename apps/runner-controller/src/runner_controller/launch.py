"""Starts a task's Pod, or refuses the task, and takes up again the Pods of an earlier controller."""

import base64
import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from runner_controller import pod as pods
from runner_controller.kube import KubeClient, KubeError
from runner_controller.masking import Masker, secret_values
from runner_controller.pod import Record
from runner_controller.pools import Pool
from runner_controller.protocol import Result, RunnerClient, Task
from runner_controller.report import Reporter
from runner_controller.settings import Settings
from runner_controller.supervise import close, now, persistently, supervise
from runner_controller.transcript import Transcript
from runner_controller.trust import Trust, classify
from runner_controller.workflow import WorkflowError, parse

_log = logging.getLogger(__name__)

# How long a job may wait for an API server that is away; its log cannot say meanwhile what it waits for.
_CREATE_SECONDS = 120


@dataclass(frozen=True)
class Launcher:
    """Runs tasks of one forge repository on one namespace."""

    kube: KubeClient
    settings: Settings

    async def run(self, task: Task, pool: Pool, client: RunnerClient) -> tuple[Trust, Result]:
        """Bring a fetched task to its end."""
        verdict = classify(task.context, self.settings.repository, self.settings.trusted_ref)
        if verdict.trust is Trust.REFUSED:
            return verdict.trust, await self._refuse(task.id, client, f"Refused: {verdict.reason}")
        try:
            job = parse(task.workflow)
        except WorkflowError as error:
            return verdict.trust, await self._refuse(task.id, client, str(error))
        runner = client.credentials.uuid if client.credentials else ""
        record = pods.record(task, job, pool, runner=runner, verdict=verdict, now=now())
        try:
            pod = await self._create("pods", pods.build_pod(record, pool))
            payload = await self._create("secrets", pods.build_payload(record, task, job, pod))
        except KubeError as error:
            await self._discard(record.pod)
            return verdict.trust, await self._refuse(task.id, client, f"the job's pod could not be created: {error}")
        return verdict.trust, await self._supervise(record, client, payload)

    async def resume(self, record: Record, client: RunnerClient) -> Result:
        """Bring a task to its end whose Pod an earlier controller made."""
        payload = await persistently(lambda: self.kube.get("secrets", record.pod))
        if payload is None:
            await self._discard(record.pod)
            reason = "the runner stopped while it started this job; run the job again"
            return await self._refuse(record.task_id, client, reason)
        _log.info("task %d: taken up again", record.task_id)
        return await self._supervise(record, client, payload)

    async def abandon(self, task_id: int, client: RunnerClient) -> Result:
        """Fail a task that a fault of this program left halfway."""
        for pod in await persistently(lambda: self.kube.list("pods", pods.MANAGED_BY)):
            record = read_record(pod)
            if record is not None and record.task_id == task_id:
                await self._discard(record.pod)
        return await self._refuse(task_id, client, "a fault of the runner controller ended this job; its log says more")

    async def _supervise(self, record: Record, client: RunnerClient, payload: dict[str, Any]) -> Result:
        masker = Masker([*pods.payload_secrets(payload), *await self._secret_values(record)])
        transcript = Transcript(record.steps, masker, record.started)
        minutes = f"{record.timeout_seconds / 60:g}"
        transcript.note(record.started, f"Pod {record.pod} of pool {record.pool}, time limit {minutes} min")
        transcript.note(record.started, f"Trust: {record.trust} ({record.reason})")
        return await supervise(record, self.kube, transcript, Reporter(client, record.task_id, transcript))

    async def _secret_values(self, record: Record) -> list[str]:
        """What must not show in the log of a job that holds these Secrets."""
        values: list[str] = []
        for name in record.masked:
            secret = await persistently(partial(self.kube.get, "secrets", name))
            encoded = (secret or {}).get("data") or {}
            data = {key: base64.b64decode(value).decode(errors="replace") for key, value in encoded.items()}
            values += secret_values(data)
        return values

    async def _refuse(self, task_id: int, client: RunnerClient, reason: str) -> Result:
        """Fail a task without a Pod."""
        _log.info("task %d: %s", task_id, reason)
        transcript = Transcript((), lambda text: text, now())
        transcript.finish(Result.FAILURE, now(), f"##[error]{reason}")
        await close(Reporter(client, task_id, transcript), task_id)
        return Result.FAILURE

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


def read_record(pod: dict[str, Any]) -> Record | None:
    """The record on a Pod, or None when somebody spoilt it."""
    try:
        return Record.from_json(pod["metadata"]["annotations"][pods.TASK_ANNOTATION])
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        _log.warning("pod %s has no readable task: %r", pod["metadata"]["name"], error)
        return None
