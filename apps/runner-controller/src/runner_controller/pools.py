"""Reads runner pools from PodTemplates: one pool a template, named as the label that jobs put into `runs-on`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner_controller import cache
from runner_controller.trust import Trust

DOMAIN = "ml-platform.dev"
POOL_LABEL = f"{DOMAIN}/runner-pool"

CHECKOUT_CONTAINER = "checkout"
# Made by the controller for jobs of class `evaluation`; no template has it.
FETCH_CONTAINER = "fetch"
JOB_CONTAINER = "job"

_MAX_CONCURRENT = f"{DOMAIN}/max-concurrent"
_LIMITS = f"{DOMAIN}/limits"
_START_TIMEOUT = f"{DOMAIN}/start-timeout-seconds"
_JOB_SECRETS = f"{DOMAIN}/job-secrets"
_TRUSTED_SECRETS = f"{DOMAIN}/trusted-secrets"
_FETCH_SECRET = f"{DOMAIN}/fetch-secret"
_UPLOAD_SECRET = f"{DOMAIN}/upload-secret"


# A day, as on the forge's hosted runners.
LONGEST_MINUTES = 24 * 60

# A job that is refused gets no place at all.
_LIMITED = frozenset(trust.value for trust in Trust) - {Trust.REFUSED.value}


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
class Limit:
    """What the jobs of one trust class get: places of the pool, and minutes a job."""

    jobs: int
    minutes: int = LONGEST_MINUTES


@dataclass(frozen=True)
class Pool:
    """A label with the pod that serves it and its limits; `job_secrets` are those that the template itself uses,
    `fetch_secret` is what fetches for a job of class `evaluation`, `upload_secret` what signs the address by which an
    untrusted run leaves what it made."""

    label: str
    template: Mapping[str, Any] = field(repr=False)
    max_concurrent: int
    start_timeout: int
    job_secrets: tuple[str, ...]
    trusted_secrets: tuple[SecretGrant, ...]
    limits: Mapping[str, Limit]
    fetch_secret: str = ""
    upload_secret: str = ""

    def limit(self, trust: str) -> Limit:
        """What a trust class gets; one that the pool does not name has all of it."""
        return self.limits.get(trust, Limit(self.max_concurrent))


def from_template(template: Mapping[str, Any]) -> Pool:
    """The pool of a core/v1 PodTemplate; raises PoolError."""
    name = template["metadata"]["name"]
    annotations = template["metadata"].get("annotations") or {}
    spec = (template.get("template") or {}).get("spec") or {}
    for kind, container in (("initContainers", CHECKOUT_CONTAINER), ("containers", JOB_CONTAINER)):
        names = [entry.get("name") for entry in spec.get(kind) or []]
        if names != [container]:
            raise PoolError(f"PodTemplate {name}: template.spec.{kind} must hold one named {container!r}, not {names}")
    if problem := cache.problem(spec):
        raise PoolError(f"PodTemplate {name}: template.spec.volumes: {problem}")
    max_concurrent = _number(name, annotations, _MAX_CONCURRENT, 1)
    return Pool(
        label=name,
        template=template["template"],
        max_concurrent=max_concurrent,
        limits=_limits(name, annotations, max_concurrent),
        start_timeout=_number(name, annotations, _START_TIMEOUT, 300),
        job_secrets=tuple(_entries(name, annotations, _JOB_SECRETS, str)),
        trusted_secrets=tuple(_grant(name, entry) for entry in _entries(name, annotations, _TRUSTED_SECRETS, dict)),
        fetch_secret=annotations.get(_FETCH_SECRET, ""),
        upload_secret=annotations.get(_UPLOAD_SECRET, ""),
    )


def _number(name: str, annotations: Mapping[str, str], key: str, default: int) -> int:
    text = annotations.get(key, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise PoolError(f"PodTemplate {name}: annotation {key} is {text!r}; it must be a whole number from 1")
    return int(text)


def _limits(name: str, annotations: Mapping[str, str], max_concurrent: int) -> dict[str, Limit]:
    text = annotations.get(_LIMITS, "{}")
    try:
        classes = json.loads(text)
    except ValueError as error:
        raise PoolError(f"PodTemplate {name}: annotation {_LIMITS} is not JSON: {error}") from error
    if not isinstance(classes, dict) or set(classes) - _LIMITED:
        raise PoolError(
            f"PodTemplate {name}: annotation {_LIMITS} must be a JSON object by trust class "
            f"({', '.join(sorted(_LIMITED))}), not {text}"
        )
    return {trust: _limit(name, trust, entry, max_concurrent) for trust, entry in classes.items()}


def _limit(name: str, trust: str, entry: Any, max_concurrent: int) -> Limit:
    most = {"jobs": max_concurrent, "minutes": LONGEST_MINUTES}
    good = isinstance(entry, dict) and not set(entry) - set(most)
    if not good or not all(type(value) is int and 1 <= value <= most[key] for key, value in entry.items()):
        raise PoolError(
            f"PodTemplate {name}: annotation {_LIMITS}: {trust} may have `jobs` (a whole number from 1 to the pool's "
            f"{max_concurrent}) and `minutes` (from 1 to {LONGEST_MINUTES}); this is {json.dumps(entry)}"
        )
    return Limit(**{"jobs": max_concurrent, **entry})


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
