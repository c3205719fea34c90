"""Reads runner pools from PodTemplates: one pool a template, named as the label that jobs put into `runs-on`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DOMAIN = "ml-platform.dev"
POOL_LABEL = f"{DOMAIN}/runner-pool"

CHECKOUT_CONTAINER = "checkout"
JOB_CONTAINER = "job"

_MAX_CONCURRENT = f"{DOMAIN}/max-concurrent"
_START_TIMEOUT = f"{DOMAIN}/start-timeout-seconds"
_JOB_SECRETS = f"{DOMAIN}/job-secrets"
_TRUSTED_SECRETS = f"{DOMAIN}/trusted-secrets"


class PoolError(Exception):
    """A PodTemplate is no usable pool; the message names the template, the key and the fix."""


@dataclass(frozen=True)
class SecretGrant:
    """A Kubernetes Secret that trusted jobs get: as files under `mount_path`, or as environment where that is empty.

    `workflows` (file names) limits it to these; empty means every trusted job.
    """

    secret: str
    mount_path: str = ""
    workflows: tuple[str, ...] = ()

    def applies_to(self, workflow: str) -> bool:
        """Whether a trusted job of this workflow file gets the Secret."""
        return not self.workflows or workflow in self.workflows


@dataclass(frozen=True)
class Pool:
    """A label with the pod that serves it and its limits; `job_secrets` are those that the template itself uses."""

    label: str
    template: Mapping[str, Any] = field(repr=False)
    max_concurrent: int
    start_timeout: int
    job_secrets: tuple[str, ...]
    trusted_secrets: tuple[SecretGrant, ...]


def from_template(template: Mapping[str, Any]) -> Pool:
    """The pool of a core/v1 PodTemplate; raises PoolError."""
    name = template["metadata"]["name"]
    annotations = template["metadata"].get("annotations") or {}
    spec = (template.get("template") or {}).get("spec") or {}
    for kind, container in (("initContainers", CHECKOUT_CONTAINER), ("containers", JOB_CONTAINER)):
        names = [entry.get("name") for entry in spec.get(kind) or []]
        if names != [container]:
            raise PoolError(f"PodTemplate {name}: template.spec.{kind} must hold one named {container!r}, not {names}")
    return Pool(
        label=name,
        template=template["template"],
        max_concurrent=_number(name, annotations, _MAX_CONCURRENT, 1),
        start_timeout=_number(name, annotations, _START_TIMEOUT, 300),
        job_secrets=tuple(_entries(name, annotations, _JOB_SECRETS, str)),
        trusted_secrets=tuple(_grant(name, entry) for entry in _entries(name, annotations, _TRUSTED_SECRETS, dict)),
    )


def _number(name: str, annotations: Mapping[str, str], key: str, default: int) -> int:
    text = annotations.get(key, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise PoolError(f"PodTemplate {name}: annotation {key} is {text!r}; it must be a whole number from 1")
    return int(text)


def _entries(name: str, annotations: Mapping[str, str], key: str, kind: type) -> list[Any]:
    try:
        entries = json.loads(annotations.get(key, "[]"))
    except ValueError as error:
        raise PoolError(f"PodTemplate {name}: annotation {key} is not JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, kind) for entry in entries):
        raise PoolError(f"PodTemplate {name}: annotation {key} must be a JSON list of {kind.__name__} entries")
    return entries


def _grant(name: str, entry: Mapping[str, Any]) -> SecretGrant:
    known = {"secret", "mountPath", "workflows"}
    workflows = entry.get("workflows", [])
    if set(entry) - known or not entry.get("secret") or not isinstance(workflows, list):
        raise PoolError(
            f"PodTemplate {name}: annotation {_TRUSTED_SECRETS}: an entry has `secret` and may have `mountPath` and "
            f"`workflows` (a list of file names); this one is {json.dumps(entry)}"
        )
    return SecretGrant(secret=entry["secret"], mount_path=entry.get("mountPath", ""), workflows=tuple(workflows))
