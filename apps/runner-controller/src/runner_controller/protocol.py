"""Client of the forge's runner protocol: Connect RPC `runner.v1.RunnerService` with its JSON encoding.

JSON form of protobuf: int64 as string, bytes as base64, enum by name, timestamps as RFC 3339 in UTC,
and fields at their default value left out.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import httpx

# What is read of one answer: a task's workflow, event and secrets are a small part of it, unless somebody tries.
_LONGEST_ANSWER = 8 << 20


class Result(Enum):
    """How a task or step ended; `UNSPECIFIED` while it has not."""

    UNSPECIFIED = "RESULT_UNSPECIFIED"
    SUCCESS = "RESULT_SUCCESS"
    FAILURE = "RESULT_FAILURE"
    CANCELLED = "RESULT_CANCELLED"
    SKIPPED = "RESULT_SKIPPED"


class ForgeError(Exception):
    """The forge could not be reached or answered with an error; the call may be tried again."""


class UnknownRunner(ForgeError):
    """The forge does not know this runner (any more): register again."""


class UnknownTask(ForgeError):
    """The forge does not know the task, or gave it to another runner: nobody waits for its result."""


class LogArchived(ForgeError):
    """The forge closed the task's log and takes no more rows."""


@dataclass(frozen=True)
class Credentials:
    """What identifies a registered runner to the forge."""

    uuid: str
    token: str = field(repr=False)


@dataclass(frozen=True)
class Task:
    """One job that the forge gave to a runner."""

    id: int
    workflow: str
    context: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    variables: Mapping[str, str]

    @property
    def token(self) -> str:
        """The job's own forge token; valid while the task runs."""
        return str(self.context.get("token") or "")


@dataclass(frozen=True)
class LogRow:
    """One line of a task's log."""

    time: datetime
    content: str


@dataclass
class StepState:
    """Progress of one step; its log is `log_length` rows from row `log_index`."""

    result: Result = Result.UNSPECIFIED
    started: datetime | None = None
    stopped: datetime | None = None
    log_index: int = 0
    log_length: int = 0


@dataclass
class TaskState:
    """Progress of a task as the forge shows it."""

    result: Result = Result.UNSPECIFIED
    started: datetime | None = None
    stopped: datetime | None = None
    steps: list[StepState] = field(default_factory=list)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as protobuf's JSON wants it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _times(started: datetime | None, stopped: datetime | None) -> dict[str, str]:
    times = {"startedAt": started, "stoppedAt": stopped}
    return {key: timestamp(moment) for key, moment in times.items() if moment is not None}


def encode_state(task_id: int, state: TaskState) -> dict[str, Any]:
    """The JSON form of `runner.v1.TaskState`."""
    steps = [
        {
            "id": str(index),
            "result": step.result.value,
            "logIndex": str(step.log_index),
            "logLength": str(step.log_length),
            **_times(step.started, step.stopped),
        }
        for index, step in enumerate(state.steps)
    ]
    return {
        "id": str(task_id),
        "result": state.result.value,
        "steps": steps,
        **_times(state.started, state.stopped),
    }


def decode_task(message: Mapping[str, Any]) -> Task:
    """The task in a JSON `runner.v1.Task`; raises ForgeError when it is malformed."""
    try:
        return Task(
            id=int(message["id"]),
            workflow=base64.b64decode(message.get("workflowPayload", "")).decode(),
            context=dict(message.get("context") or {}),
            secrets=dict(message.get("secrets") or {}),
            variables=dict(message.get("vars") or {}),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ForgeError(f"the forge sent a task that cannot be read: {error!r}") from error


def _error(status: int, body: bytes) -> ForgeError:
    """The exception that fits an error answer. Gitea wraps gRPC statuses, so only their text tells them apart."""
    text = body.decode(errors="replace")[:500]
    if "unregistered runner" in text:
        return UnknownRunner(text)
    if "log file has been archived" in text:
        return LogArchived(text)
    if "invalid runner for task" in text or "resource does not exist" in text:
        return UnknownTask(text)
    return ForgeError(f"HTTP {status}: {text}")


class RunnerClient:
    """Calls the forge as one runner. Every method raises ForgeError (or a subclass)."""

    def __init__(self, http: httpx.AsyncClient, forge_url: str, credentials: Credentials | None = None) -> None:
        self._http = http
        self._forge_url = forge_url
        self._base = f"{forge_url.rstrip('/')}/api/actions/runner.v1.RunnerService"
        self.credentials = credentials

    def copy(self) -> "RunnerClient":
        """Another client of the same forge, so far with the same credentials."""
        return RunnerClient(self._http, self._forge_url, self.credentials)

    async def register(self, name: str, registration_token: str, version: str, labels: list[str]) -> Credentials:
        """Make a new runner and use it for the calls that follow."""
        answer = await self._call(
            "Register", {"name": name, "token": registration_token, "version": version, "labels": labels}
        )
        runner = answer.get("runner") or {}
        if not runner.get("uuid") or not runner.get("token"):
            raise ForgeError("the forge's answer to Register has no uuid and token")
        self.credentials = Credentials(uuid=runner["uuid"], token=runner["token"])
        return self.credentials

    async def declare(self, version: str, labels: list[str]) -> None:
        """Tell the forge this runner's version and labels."""
        await self._call("Declare", {"version": version, "labels": labels})

    async def fetch_task(self, tasks_version: int) -> tuple[Task | None, int]:
        """A waiting task, if there is one, and the forge's task version to pass the next time."""
        answer = await self._call("FetchTask", {"tasksVersion": str(tasks_version)})
        task = answer.get("task")
        return (decode_task(task) if task else None), int(answer.get("tasksVersion", 0))

    async def update_task(self, task_id: int, state: TaskState) -> Result:
        """Report progress; the result that the forge holds (CANCELLED when somebody cancelled the job)."""
        answer = await self._call("UpdateTask", {"state": encode_state(task_id, state)})
        return Result((answer.get("state") or {}).get("result", Result.UNSPECIFIED.value))

    async def update_log(self, task_id: int, index: int, rows: list[LogRow], no_more: bool = False) -> int:
        """Send rows whose first has number `index`; the number of rows that the forge now holds."""
        answer = await self._call(
            "UpdateLog",
            {
                "taskId": str(task_id),
                "index": str(index),
                "rows": [{"time": timestamp(row.time), "content": row.content} for row in rows],
                "noMore": no_more,
            },
        )
        return int(answer.get("ackIndex", 0))

    async def _call(self, method: str, message: dict[str, Any]) -> dict[str, Any]:
        headers = {"Connect-Protocol-Version": "1"}
        if self.credentials is not None:
            headers |= {"x-runner-uuid": self.credentials.uuid, "x-runner-token": self.credentials.token}
        try:
            async with self._http.stream("POST", f"{self._base}/{method}", json=message, headers=headers) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _LONGEST_ANSWER:
                        raise ForgeError(f"{method}: the answer is longer than {_LONGEST_ANSWER >> 20} MiB")
        except httpx.HTTPError as error:
            raise ForgeError(f"{method}: {type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise _error(response.status_code, bytes(body))
        try:
            answer = json.loads(body)
        except ValueError as error:
            raise ForgeError(f"{method}: the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise ForgeError(f"{method}: the answer is not a JSON object")
        return answer
