"""Reads the single-job workflow that the forge sends and makes it fit for this runner."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

DEFAULT_TIMEOUT_MINUTES = 60

# What one job's workflow may be: characters as sent, and values once every alias is written out, which a few hundred
# characters can make billions.
_LONGEST_TEXT = 256 * 1024
_MOST_VALUES = 20_000
_MOST_WRITTEN = 1024 * 1024

# act gives steps a pseudo-terminal, on which tools draw progress bars and start pagers; behind a pipe they do not,
# as on the forge's hosted runners. `{0}` is act's placeholder for the step's script.
_BASH = "bash -c 'set -o pipefail; bash --noprofile --norc -e -o pipefail \"$0\" 2>&1 </dev/null | cat' {0}"

_CHECKOUT = re.compile(r"actions/checkout@", re.IGNORECASE)


class WorkflowError(Exception):
    """The job cannot run here; the message says which key and what to do."""


@dataclass(frozen=True)
class Checkout:
    """What the job's plain `actions/checkout` step asks for; depth 0 is the whole history with all branches."""

    depth: int = 1
    persist_credentials: bool = True


@dataclass(frozen=True)
class Job:
    """The one job of a task: its id, its steps' ids as act names them, its time limit, the text act runs, its `if`."""

    id: str
    label: str
    steps: tuple[str, ...]
    timeout_seconds: int
    checkout: Checkout | None
    runnable: str
    condition: Any = None


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: `on`, `yes` and dates stay text, as the forge and act read them."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """YAML 1.2 has no merge keys, which can make as much of little as aliases do."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def parse(text: str) -> Job:
    """The job in a task's workflow payload; raises WorkflowError for what this runner does not offer."""
    if len(text) > _LONGEST_TEXT:
        raise WorkflowError(f"the workflow has {len(text)} characters of at most {_LONGEST_TEXT}: put texts into files")
    try:
        workflow = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
        values, written = _size(workflow, {})
    except RecursionError as error:
        raise WorkflowError("the workflow is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise WorkflowError(f"the workflow is not YAML: {error}") from error
    if values > _MOST_VALUES or written > _MOST_WRITTEN:
        raise WorkflowError(
            f"the workflow is too large with its aliases written out: {_MOST_VALUES} values and {_MOST_WRITTEN} "
            "characters are allowed"
        )
    jobs = workflow.get("jobs") if isinstance(workflow, dict) else None
    if not isinstance(jobs, dict) or len(jobs) != 1:
        raise WorkflowError("the forge sent a workflow without exactly one job")
    [(job_id, job)] = jobs.items()
    if not isinstance(job, dict):
        raise WorkflowError(f"job {job_id} is not a mapping")
    for key in ("container", "services", "uses"):
        if job.get(key):
            raise WorkflowError(f"jobs.{job_id}.{key} is not offered by this runner: remove it and use `run` steps")
    steps = [step for step in job.get("steps") or [] if isinstance(step, dict)]
    # Kept by the controller, and taken away from act, which refuses the text that the forge makes of the number.
    seconds = _timeout(job_id, job.pop("timeout-minutes", None))
    checkout = _checkout(job_id, steps)
    try:
        runnable = json.dumps(_with_shell(workflow, job, steps), indent=1)
    except TypeError as error:
        raise WorkflowError(f"the workflow holds more than texts, numbers, lists and mappings: {error}") from error
    runs_on = job.get("runs-on")
    label = runs_on[0] if isinstance(runs_on, list) and runs_on else runs_on
    return Job(
        id=str(job_id),
        label=str(label or ""),
        steps=tuple(str(step.get("id") or index) for index, step in enumerate(steps)),
        timeout_seconds=seconds,
        checkout=checkout,
        runnable=runnable,
        condition=job.get("if"),
    )


def _size(value: Any, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values a value holds with its aliases written out, and their characters; itself it may not hold."""
    if not isinstance(value, (dict, list)):
        return 1, len(str(value))
    if id(value) in known:
        size = known[id(value)]
        if size is None:
            raise ValueError("an alias stands inside of what it names")
        return size
    known[id(value)] = None
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    sizes = [_size(part, known) for part in parts]
    size = 1 + sum(values for values, _ in sizes), sum(characters for _, characters in sizes)
    known[id(value)] = size
    return size


def _timeout(job_id: str, value: Any) -> int:
    if value in (None, ""):
        return DEFAULT_TIMEOUT_MINUTES * 60
    try:
        minutes = float(value)
    except (TypeError, ValueError):
        minutes = 0.0
    if not 0 < minutes <= 24 * 60:
        raise WorkflowError(
            f"jobs.{job_id}.timeout-minutes is {value!r}: it must be a number over 0 and up to 1440, no expression"
        )
    return max(1, round(minutes * 60))


def _checkout(job_id: str, steps: list[dict[str, Any]]) -> Checkout | None:
    """What the plain checkout steps need together, or None without one."""
    found = [
        (index, step.get("with") or {})
        for index, step in enumerate(steps)
        if _CHECKOUT.match(str(step.get("uses") or ""))
    ]
    if not found:
        return None
    depths: list[int] = []
    for index, options in found:
        for key in ("ref", "repository"):
            if options.get(key):
                raise WorkflowError(
                    f"jobs.{job_id}.steps[{index}].with.{key}: only the event's own commit is checked out here; "
                    "use a plain actions/checkout and fetch other commits with git"
                )
        for key in ("submodules", "lfs"):
            if str(options.get(key) or "false").lower() != "false":
                raise WorkflowError(f"jobs.{job_id}.steps[{index}].with.{key} is not offered by this runner: remove it")
        try:
            depths.append(int(options.get("fetch-depth", 1)))
        except ValueError:
            depths.append(0)  # an expression: the whole history satisfies whatever it says
    persist = any(str(options.get("persist-credentials", "true")).lower() != "false" for _, options in found)
    return Checkout(depth=0 if min(depths) <= 0 else max(depths), persist_credentials=persist)


def _with_shell(workflow: dict[str, Any], job: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The workflow with bash, named or by default, replaced by bash behind a pipe."""

    def replaced(holder: dict[str, Any], default: str | None) -> None:
        run = (holder.get("defaults") or {}).get("run") or {}
        shell = run.get("shell") or default
        if shell is not None:
            holder["defaults"] = {"run": {**run, "shell": _BASH if shell == "bash" else shell}}

    replaced(workflow, default="bash")
    replaced(job, default=None)
    for step in steps:
        if step.get("shell") == "bash":
            step["shell"] = _BASH
    return workflow
