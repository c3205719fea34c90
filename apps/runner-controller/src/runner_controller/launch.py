"""Starts a task's Pod, or refuses the task, and takes up again the Pods of an earlier controller."""

import base64
import json
import logging
from dataclasses import dataclass
from typing import Any

from runner_controller import pod as pods
from runner_controller.kube import KubeClient, KubeError
from runner_controller.masking import Masker, secret_values
from runner_controller.pod import Record
from runner_controller.pools import Pool
from runner_controller.protocol import Result, RunnerClient, Task
from runner_controller.report import Reporter
from runner_controller.settings import Settings
from runner_controller.supervise import close, now, supervise
from runner_controller.transcript import Transcript
from runner_controller.trust import Trust, classify
from runner_controller.workflow import WorkflowError, parse

_log = logging.getLogger(__name__)


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
            pod = await self.kube.create("pods", pods.build_pod(record, pool))
            payload = await self.kube.create("secrets", pods.build_payload(record, task, job, pod))
        except KubeError as error:
            await self._discard(record)
            return verdict.trust, await self._refuse(task.id, client, f"the job's pod could not be created: {error}")
        return verdict.trust, await self._supervise(record, client, payload)

    async def resume(self, record: Record, client: RunnerClient) -> Result:
        """Bring a task to its end whose Pod an earlier controller made."""
        payload = await self.kube.get("secrets", record.pod)
        if payload is None:
            await self._discard(record)
            reason = "the runner stopped while it started this job; run the job again"
            return await self._refuse(record.task_id, client, reason)
        _log.info("task %d: taken up again", record.task_id)
        return await self._supervise(record, client, payload)

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
            secret = await self.kube.get("secrets", name)
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

    async def _discard(self, record: Record) -> None:
        try:
            await self.kube.delete("pods", record.pod, 0)
        except KubeError as error:
            _log.warning("task %d: its pod may be left over: %s", record.task_id, error)


def read_record(pod: dict[str, Any]) -> Record | None:
    """The record on a Pod, or None when somebody spoilt it."""
    try:
        return Record.from_json(pod["metadata"]["annotations"][pods.TASK_ANNOTATION])
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        _log.warning("pod %s has no readable task: %r", pod["metadata"]["name"], error)
        return None
