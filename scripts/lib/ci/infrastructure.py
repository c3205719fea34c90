"""What the report says of a pull request's infrastructure: the status `infrastructure` and one comment.

A part of job `report`, from main: the preview ran the pull request's own code, so its result is taken for hostile.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ci import affected, handover, plan, plan_comment
from ci.failure import Unacceptable
from ci.store import Store
from ci.tree import Tree
from forge import Forge, PullRequest, StatusState, WorkflowRun

CONTEXT = "infrastructure"
WORKFLOW = "preview.yml"
NONE_AFFECTED = "no stack on AWS is affected"
NO_AWS = "this forge has no AWS environments to preview"
# What decides on the preview itself, beside the program that is previewed.
PREVIEW = (".github/workflows/", "infra/plugins/", "infra/policy/", "scripts/ci/", "scripts/lib/ci/")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MOST_STACKS = 50


@dataclass(frozen=True, slots=True)
class Change:
    """A pull request at one commit: its files, main's, and the paths that differ from where it left main."""

    pull: PullRequest
    head: Tree
    main: Tree
    sha: str
    paths: Sequence[str]


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """What the report works with. `has_aws`: whether this forge has AWS environments, real or emulated."""

    forge: Forge
    store: Store
    has_aws: bool
    run_url: str

    def report(self, change: Change) -> None:
        """Bring status and comment up to date with what is known now."""
        described = affected.known(change.head)
        here = affected.affected(change.paths, [*described, *affected.known(change.main)])
        names = list(dict.fromkeys(here))
        if not names:
            self._pass(change, NONE_AFFECTED)
        elif not self.has_aws:
            self._pass(change, NO_AWS)
        elif change.pull.is_from_fork(self.forge.repository):
            self._refuse(change, f"forks are not previewed: a member pushes the branch to {self.forge.repository}")
        elif len(names) > MOST_STACKS or not all(NAME.fullmatch(name) for name in names):
            self._refuse(change, "clusters/ has folders whose names are no stack's: use lower-case letters, digits, -")
        else:
            self._previewed(change, [name for name in names if name in {stack.name for stack in described}])

    def _previewed(self, change: Change, expected: list[str]) -> None:
        run = latest(self.forge, change.pull, change.sha)
        try:
            found = previewed(self.store, run, change.sha)
        except Unacceptable as error:
            self._refuse(change, str(error), run)
            return
        # The run's own jobs alone can write there, and they run a branch's code: what lies there is judged once the run
        # has ended, and ended as what lies there has it.
        if run is not None and run.completed:
            if found is not None and (problem := _not_of(run, found)):
                self._refuse(change, problem, run)
            elif found is not None:
                self._judge(change, found, expected, run)
            else:
                self._refuse(change, handover.ending("the preview", run), run)
        else:
            self._wait(change, run)

    def _judge(self, change: Change, found: plan.Preview, expected: list[str], run: WorkflowRun | None) -> None:
        plans = {name: found.stacks[name] for name in expected if name in found.stacks}
        missing = [name for name in expected if name not in plans]
        reason = f"the preview says nothing about {', '.join(missing)}" if missing else ""
        report = plan_comment.Report(change.sha, plans, reason, _url(run), _makes_itself(change))
        address = self._comment(change, report)
        failed = bool(reason) or any(one.failed for one in plans.values())
        self._status(change.sha, "failure" if failed else "success", reason or plan_comment.headline(plans), address)

    def _wait(self, change: Change, run: WorkflowRun | None) -> None:
        self._comment(change, plan_comment.Report(change.sha, None))
        self._status(change.sha, "pending", "being previewed", _url(run))

    def _refuse(self, change: Change, reason: str, run: WorkflowRun | None = None) -> None:
        address = self._comment(change, plan_comment.Report(change.sha, None, reason, _url(run)))
        self._status(change.sha, "failure", reason, _url(run) or address)

    def _pass(self, change: Change, why: str) -> None:
        if any(entry.body.startswith(plan_comment.MARKER) for entry in self.forge.comments(change.pull.number)):
            text = f"## Infrastructure: nothing to preview\n\n{why[0].upper()}{why[1:]} any more.\n"
            self.forge.upsert_comment(change.pull.number, plan_comment.MARKER, text)
        self._status(change.sha, "success", why)

    def _comment(self, change: Change, report: plan_comment.Report) -> str:
        text = plan_comment.render(report)
        return self.forge.upsert_comment(change.pull.number, plan_comment.MARKER, text).url

    def _status(self, sha: str, state: StatusState, description: str, url: str = "") -> None:
        print(f"{CONTEXT}: {state}: {description}")
        self.forge.set_status(sha, CONTEXT, state, description, url or self.run_url)


def latest(forge: Forge, pull: PullRequest, sha: str) -> WorkflowRun | None:
    """The latest run that previewed a commit of a pull request, by the forge's record."""
    runs = (run for run in forge.workflow_runs(sha) if run.workflow == WORKFLOW and run.is_of(pull.number))
    return next(runs, None)


def previewed(store: Store, run: WorkflowRun | None, sha: str) -> plan.Preview | None:
    """What a run left for the commit `sha`, `None` where it left nothing. Raises `Unacceptable`."""
    if run is None or not store.has(handover.key(run.id)):
        return None
    return plan.parse(store.get(handover.key(run.id), plan.MOST_BYTES), sha)


def _not_of(run: WorkflowRun, found: plan.Preview) -> str:
    """Why this cannot be what the run left, or "": a preview fails where one of its stacks does, and only there."""
    failed = [name for name, one in found.stacks.items() if one.failed]
    if (run.conclusion == "success") == (not failed):
        return ""
    says = f"{', '.join(failed)} failed" if failed else "nothing failed"
    return (
        f"the preview ended with {run.conclusion or 'an error'}, but what lies in its place says that {says}:"
        " look at its log and at the other jobs of this branch, and push a commit, which is previewed anew"
    )


def _url(run: WorkflowRun | None) -> str:
    return run.url if run else ""


def _makes_itself(change: Change) -> bool:
    return any(path.startswith(PREVIEW) for path in change.paths)
