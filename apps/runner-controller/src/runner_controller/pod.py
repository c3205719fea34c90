"""Builds a task's Pod and payload Secret, and reads back from a Pod what a restarted controller must know."""

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from runner_controller.pools import DOMAIN, Pool
from runner_controller.protocol import Task, timestamp
from runner_controller.trust import Trust, Verdict
from runner_controller.workflow import Job

MANAGED_BY = {"app.kubernetes.io/managed-by": "runner-controller", "app.kubernetes.io/component": "job"}
TASK_ANNOTATION = f"{DOMAIN}/task"

# Where the containers find what they are to do. `run-job` reads it from this variable.
_PAYLOAD_VARIABLE = "RUNNER_JOB_PAYLOAD"
_PAYLOAD_PATH = "/var/run/ml-platform/job"

# These have files of their own, or no use here.
_NOT_IN_CONTEXT = ("event", "token", "gitea_runtime_token")
_TOKEN_SECRETS = ("GITHUB_TOKEN", "GITEA_TOKEN", "FORGEJO_TOKEN")


@dataclass(frozen=True)
class Record:
    """A task as its Pod carries it; with the Pod's log this is all that a restarted controller needs."""

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

    @property
    def pod(self) -> str:
        """The name of the task's Pod and of its payload Secret: people recognise it and no two tasks share it."""
        words = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.job.lower())
        return f"{self.pool}-{self.task_id}-{words.strip('-')[:24].strip('-')}".rstrip("-")

    def to_json(self) -> str:
        """The annotation's text."""
        return json.dumps(asdict(self) | {"started": timestamp(self.started)})

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
                "started": datetime.strptime(data["started"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC),
            }
        )


def record(task: Task, job: Job, pool: Pool, *, runner: str, verdict: Verdict, now: datetime) -> Record:
    """What is kept of a task that is about to start."""
    workflow = str(task.context.get("workflow") or "")
    grants = [
        grant.secret for grant in pool.trusted_secrets if verdict.trust is Trust.TRUSTED and grant.applies_to(workflow)
    ]
    return Record(
        task_id=task.id,
        runner=runner,
        pool=pool.label,
        job=job.id,
        steps=job.steps,
        timeout_seconds=job.timeout_seconds,
        started=now,
        trust=verdict.trust.value,
        reason=verdict.reason,
        granted=tuple(grants),
        masked=(*pool.job_secrets, *grants),
        start_timeout=pool.start_timeout,
    )


def build_pod(entry: Record, pool: Pool) -> dict[str, Any]:
    """The Pod of a task: the pool's template, its time limit, its payload, and the Secrets it is trusted with."""
    template = copy.deepcopy(dict(pool.template))
    metadata, spec = template.get("metadata") or {}, template["spec"]
    spec["restartPolicy"] = "Never"
    spec["activeDeadlineSeconds"] = entry.timeout_seconds
    [checkout], [job] = spec["initContainers"], spec["containers"]
    _mount_payload(spec, checkout, entry.pod, ["job.json", "token"])
    trusted = entry.trust == Trust.TRUSTED.value
    _mount_payload(spec, job, entry.pod, ["job.json", "workflow.yaml", "event.json", *(["token"] if trusted else [])])
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


def build_payload(entry: Record, task: Task, job: Job, pod: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret that tells the Pod what to do; owned by the Pod, so it goes with it."""
    context = {key: value for key, value in task.context.items() if key not in _NOT_IN_CONTEXT}
    trusted = entry.trust == Trust.TRUSTED.value
    secrets = {key: value for key, value in task.secrets.items() if trusted or key.upper() not in _TOKEN_SECRETS}
    description = {
        "job": entry.job,
        "label": entry.pool,
        "context": context,
        "trusted": trusted,
        "checkout": asdict(job.checkout) if job.checkout else None,
        "secrets": secrets,
        "variables": dict(task.variables),
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
    """The secret values in a payload Secret: the job's token and the forge's own secrets."""
    data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
    values = [data["token"]] if data.get("token") else []
    return values + list(json.loads(data.get("job.json", "{}")).get("secrets", {}).values())


def _mount_payload(spec: dict[str, Any], container: dict[str, Any], secret: str, keys: list[str]) -> None:
    volume = f"payload-{container['name']}"
    items = [{"key": key, "path": key} for key in keys]
    spec.setdefault("volumes", []).append({"name": volume, "secret": {"secretName": secret, "items": items}})
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": _PAYLOAD_PATH, "readOnly": True})
    container.setdefault("env", []).append({"name": _PAYLOAD_VARIABLE, "value": _PAYLOAD_PATH})


def _grant(spec: dict[str, Any], container: dict[str, Any], secret: str, mount_path: str) -> None:
    if not mount_path:
        # The last source of a variable wins, so this overrides what every job has.
        container.setdefault("envFrom", []).append({"secretRef": {"name": secret}})
        return
    volume = f"trusted-{secret}"
    spec.setdefault("volumes", []).append({"name": volume, "secret": {"secretName": secret}})
    container.setdefault("volumeMounts", []).append({"name": volume, "mountPath": mount_path, "readOnly": True})
