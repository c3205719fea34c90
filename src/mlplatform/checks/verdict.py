"""The status `ci`: what the forge recorded of the jobs that main's planner asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

WORKFLOW = "ci.yml"
FILE = f".github/workflows/{WORKFLOW}"
NOTHING_CHANGED = "nothing of the repository's own code changed"

State = Literal["success", "pending", "failure"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job's end: `conclusion` is empty until it has one."""

    conclusion: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The newest run of `ci.yml` for a commit: its jobs by name."""

    url: str
    jobs: Mapping[str, Job]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the status says; `url` leads to the job or run that it speaks of."""

    state: State
    text: str
    url: str = ""


def judge(needed: Sequence[str], runs: Mapping[str, Sequence[Run]], own: Run | None, has_file: bool) -> Verdict:
    """Whether the needed jobs have passed.

    Args:
        needed: what main's planner asks for.
        runs: by job, the runs whose word on it counts, newest first: of the head, and of earlier commits since which
            nothing has changed that concerns the job.
        own: the head's own run.
        has_file: whether the head has the workflow at all.
    """
    if not needed:
        return Verdict("success", NOTHING_CHANGED)
    found = {job: _newest(job, runs.get(job, ())) for job in needed}
    url = own.url if own else ""
    missing = [job for job, one in found.items() if one is None]
    waiting = [job for job, one in found.items() if one and not one.conclusion]
    if failed := next((job for job in needed if _has_failed(found[job])), None):
        return _failed(failed, found[failed])
    if missing:
        return _missing(missing, own, has_file)
    if waiting:
        return Verdict("pending", f"being checked: {', '.join(waiting)}", url)
    return Verdict("success", f"passed: {', '.join(needed)}", url)


def _has_failed(job: Job | None) -> bool:
    return job is not None and job.conclusion not in ("", "success")


def _failed(name: str, job: Job | None) -> Verdict:
    conclusion, url = (job.conclusion, job.url) if job else ("", "")
    says = "failed: its log says why" if conclusion == "failure" else f"ended as {conclusion}: run it again"
    return Verdict("failure", f"{name} {says}", url)


def _missing(names: Sequence[str], own: Run | None, has_file: bool) -> Verdict:
    if not has_file:
        return Verdict("failure", f"this branch has no {FILE}: merge main into it")
    if own is None:
        return Verdict("pending", f"no run of {WORKFLOW} has begun for this commit: push another one if none does")
    return Verdict("failure", f"{WORKFLOW} of this branch has no job {', '.join(names)}: merge main into it", own.url)


def _newest(job: str, runs: Sequence[Run]) -> Job | None:
    """What counts of a job: the newest end, else that it goes on; a newer push ends what an earlier one started."""
    known = [run.jobs[job] for run in runs if job in run.jobs]
    ended = [one for at, one in enumerate(known) if one.conclusion and (at == 0 or one.conclusion != "cancelled")]
    return next(iter([*ended, *known]), None)
