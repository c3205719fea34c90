"""Builds a task's Pod and payload Secret, and reads back from a Pod what a restarted controller must know."""

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runner_controller import cache
from runner_controller.pools import DOMAIN, FETCH_CONTAINER, JOB_CONTAINER, Limit, Pool
from runner_controller.protocol import Task, timestamp
from runner_controller.trust import Trust, Verdict
from runner_controller.upload import secret_part
from runner_controller.workflow import Job

MANAGED_BY = {"app.kubernetes.io/managed-by": "runner-controller", "app.kubernetes.io/component": "job"}
TASK_ANNOTATION = f"{DOMAIN}/task"
# When a Pod that had to wait for a place got one.
_CALLED_ANNOTATION = f"{DOMAIN}/called"
# No node takes a Pod with a gate; the controller takes it away.
_GATE = f"{DOMAIN}/turn"

# Where the containers find what they are to do. `run-job` reads it from this variable.
_PAYLOAD_VARIABLE = "RUNNER_JOB_PAYLOAD"
_PAYLOAD_PATH = "/var/run/ml-platform/job"

# These have files of their own, or no use here.
_NOT_IN_CONTEXT = ("event", "token", "gitea_runtime_token")
_TOKEN_SECRETS = ("GITHUB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN")


@dataclass(frozen=True)
class Record:
    """A task as its Pod carries it; with the Pod's log this is all that a restarted controller needs.

    `started`: when the forge gave it. `notes`: rows of the controller's own that begin its log. `called`: when its Pod
    may start, None while it waits for a place.
    """

    task_id: int
    runner: str
    pool: str
    job: str
    steps: tuple[str, ...]
    timeout_seconds: int
    started: datetime
    trust: str
    reason: str
    granted: tuple[str, ...]
    masked: tuple[str, ...]
    start_timeout: int
    # A Pod that an earlier version made has none of these.
    actor: str = ""
    notes: tuple[str, ...] = ()
    called: datetime | None = None

    @property
    def pod(self) -> str:
        """The name of the task's Pod and of its payload Secret: people recognise it and no two tasks share it."""
        words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.job.lower())
        return f"{self.pool}-{self.task_id}-{words.strip('-')[:24].strip('-')}".rstrip("-")

    def to_json(self) -> str:
        """The annotation's text."""
        written = asdict(replace(self, called=None))
        return json.dumps(written | {"started": timestamp(self.started)})

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """The record in an annotation; raises ValueError, KeyError or TypeError when it was changed by hand."""
        data = json.loads(text)
        return cls(
            **data
            | {
                "steps": tuple(data["steps"]),
                "granted": tuple(data["granted"]),
                "masked": tuple(data["masked"]),
                "notes": tuple(data.get("notes", ())),
                "started": _moment(data["started"]),
            }
        )

    @classmethod
    def of_pod(cls, pod: Mapping[str, Any]) -> "Record":
        """The record of a Pod, with what became of it since; raises as `from_json` does."""
        annotations = pod["metadata"]["annotations"]
        record = cls.from_json(annotations[TASK_ANNOTATION])
        if pod["spec"].get("schedulingGates"):
            return record
        called = annotations.get(_CALLED_ANNOTATION)
        return replace(record, called=_moment(called) if called else record.started)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def record(task: Task, job: Job, pool: Pool, *, runner: str, verdict: Verdict, now: datetime) -> Record:
    """What is kept of a task that is about to start."""
    workflow = str(task.context.get("workflow") or "")
    grants = [
        grant.secret for grant in pool.trusted_secrets if verdict.trust is Trust.TRUSTED and grant.applies_to(workflow)
    ]
    evaluation = verdict.trust is Trust.EVALUATION
    own = tuple(filter(None, (pool.fetch_secret,))) if evaluation else pool.job_secrets
    limit = pool.limit(verdict.trust.value)
    seconds = min(job.timeout_seconds, limit.minutes * 60)
    return Record(
        task_id=task.id,
        runner=runner,
        pool=pool.label,
        job=job.id,
        steps=job.steps,
        timeout_seconds=seconds,
        started=now,
        trust=verdict.trust.value,
        reason=verdict.reason,
        granted=tuple(grants),
        masked=(*own, *grants),
        start_timeout=pool.start_timeout,
        actor=str(task.context.get("actor") or ""),
        notes=_capped(job, limit, verdict, pool),
        called=now,
    )


def _capped(job: Job, limit: Limit, verdict: Verdict, pool: Pool) -> tuple[str, ...]:
    """What is said of a time limit over the pool's."""
    if job.timeout_seconds <= limit.minutes * 60:
        return ()
    text = f"timeout-minutes is {job.timeout_seconds / 60:g}, and pool {pool.label} gives {verdict.trust.value} jobs "
    return (f"##[warning]{text}{limit.minutes} minutes: this one is stopped after {limit.minutes}",)


def held(entry: Record) -> Record:
    """The record of a task that has to wait for a place."""
    text = "Waiting for a place in the pool: trusted jobs go first, then those of people with fewer jobs running"
    return replace(entry, called=None, notes=(*entry.notes, text))


def call(moment: datetime) -> dict[str, Any]:
    """The merge patch that lets a Pod start which waited."""
    return {"metadata": {"annotations": {_CALLED_ANNOTATION: timestamp(moment)}}, "spec": {"schedulingGates": None}}


def build_pod(entry: Record, pool: Pool) -> dict[str, Any]:
    """The Pod of a task: the pool's template, its time limit, its payload, and what it is trusted with: Secrets, and to
    write to the base layer."""
    template = copy.deepcopy(dict(pool.template))
    metadata, spec = template.get("metadata") or {}, template["spec"]
    spec["restartPolicy"] = "Never"
    spec["activeDeadlineSeconds"] = entry.timeout_seconds
    if entry.called is None:
        spec["schedulingGates"] = [{"name": _GATE}]
    trusted = entry.trust == Trust.TRUSTED.value
    cache.isolate(spec, trusted=trusted)
    [checkout], [job] = spec["initContainers"], spec["containers"]
    _mount_payload(spec, checkout, entry.pod, ["job.json", "token"])
    _mount_payload(spec, job, entry.pod, ["job.json", "workflow.yaml", "event.json", *(["token"] if trusted else [])])
    if entry.trust == Trust.EVALUATION.value:
        spec["initContainers"].append(_fetch(spec, job, entry.pod, pool.fetch_secret))
        _strip(job)
    for grant in pool.trusted_secrets:
        if grant.secret in entry.granted:
            _grant(spec, job, grant.secret, grant.mount_path)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": entry.pod,
            "labels": {
                **(metadata.get("labels") or {}),
                **MANAGED_BY,
                f"{DOMAIN}/pool": entry.pool,
                f"{DOMAIN}/trust": entry.trust,
            },
            "annotations": {**(metadata.get("annotations") or {}), TASK_ANNOTATION: entry.to_json()},
        },
        "spec": spec,
    }


def build_payload(entry: Record, task: Task, job: Job, pod: Mapping[str, Any], upload: str = "") -> dict[str, Any]:
    """The Secret that tells the Pod what to do; owned by the Pod, so it goes with it. `upload`: the address by which
    its run leaves what it made."""
    context = {key: value for key, value in task.context.items() if key not in _NOT_IN_CONTEXT}
    trusted = entry.trust == Trust.TRUSTED.value
    secrets = {key: value for key, value in task.secrets.items() if trusted or key.upper() not in _TOKEN_SECRETS}
    evaluation = entry.trust == Trust.EVALUATION.value
    description = {
        "job": entry.job,
        "label": entry.pool,
        "context": context,
        "trusted": trusted,
        "checkout": asdict(job.checkout) if job.checkout else None,
        "secrets": {} if evaluation else secrets,
        "variables": dict(task.variables),
        "upload": upload,
        # Code that main defines is today's, whenever the event was.
        "newest": entry.trust != Trust.UNTRUSTED.value,
    }
    data = {
        "job.json": json.dumps(description),
        "workflow.yaml": job.runnable,
        "event.json": json.dumps(task.context.get("event") or {}),
        "token": task.token,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": f"{DOMAIN}/job",
        "metadata": {
            "name": pod["metadata"]["name"],
            "labels": dict(MANAGED_BY),
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
            ],
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def payload_secrets(secret: Mapping[str, Any]) -> list[str]:
    """The secret values in a payload Secret: the job's token, the forge's own secrets, and what signs its upload."""
    data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    values = [data["token"]] if data.get("token") else []
    description = json.loads(data.get("job.json", "{}"))
    if signature := secret_part(description.get("upload", "")):
        values.append(signature)
    return values + list(description.get("secrets", {}).values())


def _mount_payload(spec: dict[str, Any], container: dict[str, Any], secret: str, keys: list[str]) -> None:
    volume = f"payload-{container['name']}"
    items = [{"key": key, "path": key} for key in keys]
    spec.setdefault("volumes", []).append({"name": volume, "secret": {"secretName": secret, "items": items}})
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": _PAYLOAD_PATH, "readOnly": True})
    container.setdefault("env", []).append({"name": _PAYLOAD_VARIABLE, "value": _PAYLOAD_PATH})


def _fetch(spec: dict[str, Any], job: dict[str, Any], payload: str, secret: str) -> dict[str, Any]:
    """The container that fetches what is measured: main's code as the job is, with the one credential of its Pod, and
    gone before the job loads what it fetched."""
    container = {**copy.deepcopy(job), "name": FETCH_CONTAINER, "command": ["run-job", FETCH_CONTAINER]}
    volume = f"payload-{JOB_CONTAINER}"
    own = [mount for mount in container.get("volumeMounts", []) if mount["name"] != volume]
    container["volumeMounts"] = own
    container["env"] = [entry for entry in container.get("env", []) if entry["name"] != _PAYLOAD_VARIABLE]
    _strip(container)
    if secret:
        container.setdefault("envFrom", []).append(_environment(secret))
    _mount_payload(spec, container, payload, ["job.json", "event.json"])
    return container


def _strip(container: dict[str, Any]) -> None:
    """Take from a container every Secret of its template."""
    container["envFrom"] = [source for source in container.get("envFrom", []) if "secretRef" not in source]
    container["env"] = [
        entry for entry in container.get("env", []) if "secretKeyRef" not in (entry.get("valueFrom") or {})
    ]


def _environment(secret: str) -> dict[str, Any]:
    # Until scripts/up has made a new Secret, the job itself says what it lacks.
    return {"secretRef": {"name": secret, "optional": True}}


def _grant(spec: dict[str, Any], container: dict[str, Any], secret: str, mount_path: str) -> None:
    if not mount_path:
        # The last source of a variable wins, so this overrides what every job has.
        container.setdefault("envFrom", []).append(_environment(secret))
        return
    volume = f"trusted-{secret}"
    # A job that lacks its token can say so; a pod that lacks its volume never starts.
    spec.setdefault("volumes", []).append({"name": volume, "secret": {"secretName": secret, "optional": True}})
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": mount_path, "readOnly": True})
