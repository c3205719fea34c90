"""Job `apply`: bring one stack on AWS to what main says. Started by every push to main that may affect one.

What is affected follows from the commit that was applied last, not from the push: what an earlier run failed to apply,
or never came to, is applied with the next.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recovery
from ci import affected, chart, environment, git, infrastructure, login, plan, pulumi
from ci.comment import sentence
from ci.evidence import MAIN
from ci.failure import Failure, Unacceptable, run
from ci.plan_comment import headline
from ci.store import Store
from ci.tree import CommitTree
from forge import Forge, PullRequest, StatusState

COMMIT = re.compile(r"[0-9a-f]{40,64}")
UPDATES = 20
MOST_PATHS = 10


@dataclass(frozen=True, slots=True)
class Applied:
    """The last change of a stack: its commit, `None` where that is unknown or where it did not end well."""

    commit: str | None


def last(history: list[dict[str, Any]]) -> Applied:
    """What `pulumi stack history --json`, newest first, says of the last change that may have changed something."""
    for entry in history:
        if entry.get("kind") in ("update", "destroy", "import", "refresh"):
            about: dict[str, str] = entry.get("environment") or {}
            whole = entry["kind"] == "update" and entry.get("result") == "succeeded"
            commit = about.get("git.head", "")
            return Applied(commit if whole and about.get("git.dirty") != "true" and COMMIT.fullmatch(commit) else None)
    return Applied(None)


@dataclass(frozen=True, slots=True)
class Job:
    """One stack, the commit of main that it is brought to, and the forge that is told."""

    stack: affected.Stack
    repository: git.Repository
    forge: Forge
    run_url: str
    commit: str

    @property
    def context(self) -> str:
        """The commit status that says how it went."""
        return f"apply/{self.stack.name}"

    def why_not(self, before: Applied) -> str:
        """Why there is nothing to do, or ""."""
        if before.commit is None or self.repository.commit(before.commit) is None:
            return ""
        if before.commit != self.commit and self.repository.merge_base(before.commit, self.commit) == self.commit:
            return f"a newer commit, {before.commit[:10]}, is applied already"
        if not self._affects(before.commit, self.commit):
            return f"nothing that affects it has changed since {before.commit[:10]}, which is applied"
        return ""

    def not_previewed(self, pull: PullRequest | None, preview: plan.Preview | None) -> str:
        """What of this commit the merged pull request's preview did not see, or ""."""
        if pull is None:
            return "this commit of main was not made by merging a pull request, so nobody saw a preview of it"
        if preview is None or self.stack.name not in preview.stacks:
            return f"#{pull.number} has no preview of {self.stack.name} for {pull.head_sha[:10]}"
        parent = self.repository.commit(f"{self.commit}^1")
        if parent is None or self.repository.commit(preview.main) is None:
            return f"what #{pull.number} was previewed against is not known here"
        paths = [path for path in self.repository.changed(preview.main, parent) if self._is_of_stack(path)]
        if not paths:
            return ""
        more = f" and {len(paths) - MOST_PATHS} more" if len(paths) > MOST_PATHS else ""
        return (
            f"main moved after the preview of #{pull.number}, so this applies more than it showed:"
            f" {', '.join(paths[:MOST_PATHS])}{more}"
        )

    def tell(self, result: plan.Plan, pull: PullRequest | None, surprise: str) -> None:
        """State the result on the commit; say on the pull request what nobody could have expected."""
        if result.failed:
            summary = f"failed: {(result.error or result.summary).splitlines()[0]}"
        else:
            summary = result.summary.replace(" to ", " ") if result.steps else result.summary
        state: StatusState = "failure" if result.failed else "success"
        self.forge.set_status(self.commit, self.context, state, summary, self.run_url)
        if pull is None or not (result.failed or surprise):
            return
        marker = f"<!-- ml-platform:{self.context} -->"
        self.forge.upsert_comment(pull.number, marker, self._text(result, surprise))

    def _text(self, result: plan.Plan, surprise: str) -> str:
        name = self.stack.name
        parts = [f"## Apply to {chart.code(name)}: {'failed' if result.failed else 'done'}"]
        parts += [sentence(surprise)] if surprise else []
        parts += [f"- {sentence(line)}" for line in result.error.splitlines()[:20] if line.strip()]
        parts += [f"- {chart.code(one.policy)}: {sentence(one.message)}" for one in result.violations[:20]]
        if result.failed:
            parts.append(
                f"Main is not what runs on `{name}`. Run the workflow again, which goes on from where it stopped, or"
                " revert the merge in another pull request."
            )
        else:
            parts.append(f"{headline({name: result})}.")
        parts.append(f"[Run]({self.run_url}) · commit {self.commit}" if self.run_url else f"commit {self.commit}")
        return "\n\n".join(parts) + "\n"

    def _affects(self, old: str, new: str) -> bool:
        return any(self._is_of_stack(path) for path in self.repository.changed(old, new))

    def _is_of_stack(self, path: str) -> bool:
        return bool(affected.affected([path], [self.stack]))


def history(root: Path, variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """The stack's latest updates, newest first. Raises `Failure`."""
    command = ["pulumi", "stack", "history", "--json", f"--page-size={UPDATES}", "--page=1", "--non-interactive"]
    done = subprocess.run(command, cwd=root, env=dict(variables), capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"pulumi stack history failed: {' '.join(done.stderr.split())[:500]}")
    found = json.loads(done.stdout or "[]")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def previewed(forge: Forge, store: Store, pull: PullRequest | None) -> plan.Preview | None:
    """The preview of a merged pull request, which its own code wrote: enough to say what it did not show."""
    if pull is None:
        return None
    try:
        return infrastructure.previewed(store, infrastructure.latest(forge, pull, pull.head_sha), pull.head_sha)
    except Unacceptable as error:
        print(f"the preview cannot be compared: {error}")
        return None


def apply(job: Job, root: Path, store: Store) -> None:
    """Bring the stack to the commit, and say how it went. Raises `Failure` where it did not go well."""
    name = job.stack.name
    try:
        variables = pulumi.ready(name, "deploy", root)
        recovery.resolve(name, variables, print, root)
        if reason := job.why_not(last(history(root, variables))):
            print(f"{name}: {reason}")
            return
        pull = job.forge.merged_by(job.commit)
        surprise = job.not_previewed(pull, previewed(job.forge, store, pull))
        if surprise:
            print(f"note: {surprise}")
        job.forge.set_status(job.commit, job.context, "pending", "being applied", job.run_url)
        pulumi.settle_plugins(root, variables)
        result = pulumi.run("deploy", root, variables)
    except pulumi.NotThere as absent:
        print(f"{absent}: nothing to apply")
        return
    except Exception as error:
        # Whatever it was: a stack that is not what main says must not go unseen.
        result = plan.Plan(error=(str(error) or type(error).__name__)[: plan.MOST_TEXT])
        job.tell(result, job.forge.merged_by(job.commit), "")
        raise
    job.tell(result, pull, surprise)
    print(f"{name}: {result.error or result.summary}")
    if result.failed:
        raise Failure(f"{name} was not applied as a whole: the lines above say why; run the workflow again")


def main() -> None:
    root = environment.ROOT
    if len(sys.argv) != 2:
        raise Failure("usage: scripts/ci/apply STACK")
    repository = git.Repository(root)
    commit = repository.commit("HEAD")
    assert commit is not None
    stack = next((one for one in affected.known(CommitTree(repository, commit)) if one.name == sys.argv[1]), None)
    if stack is None:
        print(f"{MAIN} describes no stack {sys.argv[1]} on AWS: nothing to apply")
        return
    if login.source() is login.Source.NONE:
        print(f"this forge has no AWS environments: nothing to apply to {stack.name}")
        return
    place = environment.Place.from_variables()
    client = place.connect(environment.token())
    try:
        job = Job(stack, repository, client, place.run_url(), commit)
        apply(job, root, Store.connect(environment.require("DATA_BUCKET")))
    finally:
        client.close()


if __name__ == "__main__":
    run(main)
