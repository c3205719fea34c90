"""What the report says of the repository's own checks: the status `ci`.

A part of job `report`, from main: main's planner says which jobs must have passed, the forge which have. Their code is
the pull request's own; a change that weakens them shows among the paths that it changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ci.failure import Unacceptable
from ci.git import Repository
from ci.tree import CommitTree
from forge import Forge, PullRequest
from mlplatform.checks import plan
from mlplatform.checks.overlay import is_of_overlay, is_overlay, only_digests
from mlplatform.checks.plan import Plan
from mlplatform.checks.verdict import FILE, WORKFLOW, Job, Run, Verdict, judge

CONTEXT = "ci"
# Commits of a branch whose jobs may still count.
MOST_COMMITS = 20


@dataclass(frozen=True)
class Difference:
    """Two commits."""

    repository: Repository
    base: str
    head: str

    @cached_property
    def changed(self) -> list[str]:
        return self.repository.changed(self.base, self.head)

    def is_digest(self, path: str) -> bool:
        """Whether nothing of the overlay at a path differs but digests."""
        before, after = CommitTree(self.repository, self.base), CommitTree(self.repository, self.head)
        try:
            return is_overlay(path) and only_digests(path, before.read(path), after.read(path))
        except Unacceptable:
            return False

    def unjudged(self) -> str | None:
        """A path of an overlay of which more than digests differ: no test says what that deploys. The gate judges
        pins."""
        own = (path for path in self.changed if is_of_overlay(path) and not plan.is_pin(path))
        return next((path for path in own if not self.is_digest(path)), None)

    def plan(self) -> Plan:
        """What it needs."""
        return plan.plan(self.changed, self.is_digest)


def planned(repository: Repository, base: str, head: str) -> Plan:
    """What the difference between two commits needs."""
    return Difference(repository, base, head).plan()


@dataclass(frozen=True, slots=True)
class Checked:
    """What the report works with."""

    forge: Forge
    repository: Repository
    run_url: str
    pull: PullRequest

    def report(self, base: str, head: str) -> None:
        """Set the status of a head by what is known now. `base`: where the branch left main."""
        try:
            found = self._verdict(base, head)
        except Unacceptable as error:
            found = Verdict("failure", str(error))
        print(f"{CONTEXT}: {found.state}: {found.text}")
        self.forge.set_status(head, CONTEXT, found.state, found.text, found.url or self.run_url)

    def _verdict(self, base: str, head: str) -> Verdict:
        difference = Difference(self.repository, base, head)
        needed = difference.plan()
        if needed.jobs and self.pull.is_from_fork(self.forge.repository):
            text = f"forks are not checked here: a member pushes the branch to {self.forge.repository}"
            return Verdict("failure", text)
        unjudged = difference.unjudged()
        if needed.jobs and not plan.is_started(difference.changed):
            return _asked(unjudged or difference.changed[0])
        own = self._run(head) if needed.jobs else None
        runs = self._runs(needed, base, head, own)
        found = judge(needed.jobs, runs, own, CommitTree(self.repository, head).read(FILE) is not None)
        return _asked(unjudged) if unjudged and found.state == "success" else found

    def _runs(self, needed: Plan, base: str, head: str, own: Run | None) -> Mapping[str, list[Run]]:
        """By job, the runs of the head, and of the commits before it since which nothing that concerns it changed, as
        far as they ran all that is needed now: a merge of main may ask for more."""
        found: dict[str, list[Run]] = {job: [own] if own else [] for job in needed.jobs}
        listed = self.repository.git("rev-list", "--first-parent", f"--max-count={MOST_COMMITS}", head, f"^{base}")
        for commit in listed.decode().split()[1:]:
            changed = planned(self.repository, commit, head).jobs
            same = [job for job in needed.jobs if job not in changed]
            if not same:
                break
            left = self.repository.merge_base(base, commit)
            ran = planned(self.repository, left, commit) if left else plan.Plan({})
            if (covered := [job for job in same if ran.covers(job, needed)]) and (run := self._run(commit)):
                for job in covered:
                    found[job].append(run)
        return found

    def _run(self, sha: str) -> Run | None:
        runs = (
            run for run in self.forge.workflow_runs(sha) if run.workflow == WORKFLOW and run.is_of(self.pull.number)
        )
        run = next(runs, None)
        if run is None:
            return None
        jobs = {
            one.name: Job((one.conclusion or "failure") if one.status == "completed" else "", one.url)
            for one in self.forge.jobs(run.id)
        }
        return Run(run.url, jobs)


def _asked(path: str) -> Verdict:
    return Verdict("pending", f"main cannot judge {path}: an owner's approval is asked")
