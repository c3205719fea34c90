"""The running platform as the end-to-end tests use it."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cli import loop, people
from cli.kube import Kubectl
from cli.people import Cast
from forge import Forge, PullRequest
from mlplatform.pulls import verdict
from settings import ROOT, Cluster, Paths

T = TypeVar("T")


@dataclass
class Platform:
    """The running platform, seen by those who use it: verbs, the cluster, the forge as an ordinary member."""

    cluster: Cluster
    paths: Paths
    kubectl: Kubectl
    member: Forge

    @property
    def stage(self) -> str:
        return self.cluster.stages[0]

    @property
    def proposer(self) -> str:
        """The account of `member`."""
        return Cast.of(self.cluster.people).proposer

    def verb(self, name: str, *arguments: str, root: Path = ROOT, status: int = 0) -> str:
        """Run scripts/<name>, expect its exit status and return its stdout."""
        done = subprocess.run(
            [root / "scripts" / name, *arguments], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == status, f"scripts/{name}: exit status {done.returncode}\n{done.stderr[-6000:]}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """What `scripts/status --json` says, well or not."""
        done = subprocess.run([ROOT / "scripts" / "status", "--json"], capture_output=True, text=True)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def settle(self, seconds: float) -> None:
        """Wait until everything answers and every Application is in sync and healthy."""
        deadline = time.monotonic() + seconds
        while not (status := self.status())["ok"]:
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {json.dumps(status, indent=2)}"
            time.sleep(3)

    def deployed(self) -> dict[str, list[str]]:
        """The images of each Application, by its name."""
        return {one["name"]: sorted(one["images"]) for one in self.status()["applications"]}

    def propose(self, title: str, change: Callable[[str], str], path: str = loop.PARAMS) -> PullRequest:
        """Open a pull request, as the member, that changes one file of main, or adds it."""
        login = loop.member_login(self.cluster, self.paths)
        with loop.Clone(self.member.clone_url, login) as clone:
            there = clone.succeeds("cat-file", "-e", f"{loop.MAIN}:{path}")
            before = clone.git("show", f"{loop.MAIN}:{path}") + "\n" if there else ""
            branch = f"test-{time.time_ns()}"
            loop.commit_file(clone, branch, path, change(before), title)
            clone.git("push", "--quiet", self.member.clone_url, f"{branch}:refs/heads/{branch}")
        return self.member.create_pull_request(title, "", branch, loop.MAIN)

    def amend(self, pull: PullRequest, files: Mapping[str, str]) -> str:
        """Push new contents of files to a pull request's branch, at once; returns its head."""
        login = loop.member_login(self.cluster, self.paths)
        with loop.Clone(self.member.clone_url, login) as clone:
            clone.git(
                "fetch", "--quiet", self.member.clone_url, f"+refs/heads/{pull.head_branch}:refs/heads/{loop.MAIN}"
            )
            for path, content in files.items():
                # Each on top of the one before.
                commit = loop.commit_file(clone, "amended", path, content, "Change it again")
                clone.git("update-ref", f"refs/heads/{loop.MAIN}", commit)
            head = clone.git("rev-parse", loop.MAIN)
            clone.git("push", "--quiet", self.member.clone_url, f"{head}:refs/heads/{pull.head_branch}")
        return head

    def gate(self, pull: PullRequest, seconds: float = 900) -> tuple[str, str]:
        """Wait until the quality gate has judged the pull request's head, or asks an owner to; returns state and
        description."""

        def judged() -> tuple[str, str] | None:
            head = self.member.pull_request(pull.number).head_sha
            status = self.member.status(head, loop.GATE, loop.BOT)
            if status is None:
                return None
            judged = status.state != "pending" or verdict.asks_an_owner(status.state, status.description)
            return (status.state, status.description) if judged else None

        return eventually(judged, seconds, f"quality gate of #{pull.number}")

    def merge(self, pull: PullRequest, seconds: float = 900) -> str:
        """Have the gate pass it, another person approve it and the bot merge it; the merge commit."""
        state, description = self.gate(pull, seconds)
        passed = state == "success" or verdict.asks_an_owner(state, description)
        assert passed, f"{description}\n{self.failed_jobs(pull)}"
        people.approve(self.cluster, self.paths, pull.number, self.member.pull_request(pull.number).head_sha)

        def merged() -> str | None:
            found = self.member.pull_request(pull.number)
            return found.merge_sha if found.merged else None

        return eventually(merged, seconds, f"the merge of #{pull.number}")

    def drop(self, pull: PullRequest) -> None:
        """Close a pull request, delete its branch and cancel what still runs for it."""
        self.member.close_pull_request(pull.number)
        self.member.delete_branch(pull.head_branch)
        self.cancel(pull)

    def cancel(self, pull: PullRequest, workflow: str = "") -> None:
        """Cancel what still runs for a pull request's head, or one workflow of it, which would hold others up."""
        repository = self.cluster.forge.repository
        account = people.administrator(self.paths)
        # Only the forge's pages offer this, not its API.
        url = self.cluster.forge.url
        with httpx.Client(base_url=url, headers={"Origin": url}, trust_env=False, timeout=30) as browser:
            browser.post("/user/login", data={"user_name": account.user, "password": account.password})
            for run in self.member.workflow_runs(pull.head_sha):
                if not run.completed and workflow in ("", run.workflow):
                    answer = browser.post(f"/{repository}/actions/runs/{run.id}/cancel")
                    assert answer.status_code < 400, answer.text

    def failed_jobs(self, pull: PullRequest) -> str:
        """The last lines of the jobs of a pull request's head that did not succeed."""
        return self.failed_jobs_of(self.member.pull_request(pull.number).head_sha)

    def failed_jobs_of(self, commit: str) -> str:
        """The last lines of the jobs of a commit that did not succeed."""
        jobs = [job for run in self.member.workflow_runs(commit) for job in self.member.jobs(run.id)]
        lines: list[str] = []
        for job in jobs:
            if job.conclusion not in ("", "success", "skipped"):
                lines += [f"{job.name}: {job.conclusion}", *loop.job_log(self.cluster, self.paths, job.id)[-40:]]
        return "\n".join(lines)

    def job_pods(self) -> list[str]:
        """Pods that run jobs of the forge at the moment."""
        found = self.kubectl.items("pods", "-n", "runner-controller")
        return [
            one["metadata"]["name"] for one in found if not one["metadata"]["name"].startswith("runner-controller-")
        ]


def interrupted(verb: str, after: float, once: str = "") -> str:
    """Start scripts/<verb>, press Ctrl-C `after` seconds later, expect a clean end and return what it said.

    The seconds count from when it has said `once`.
    """
    with tempfile.NamedTemporaryFile() as said:
        running = subprocess.Popen(
            [ROOT / "scripts" / verb],
            stdin=subprocess.DEVNULL,
            stderr=said.fileno(),
            # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs here
        )
        text = Path(said.name)
        eventually(lambda: once in text.read_text() or None, 60, f"{verb}: {once}", every=0.1)
        time.sleep(after)
        running.send_signal(signal.SIGINT)
        running.wait(timeout=180)
        assert running.returncode == 130, f"exit status {running.returncode}\n{text.read_text()}"
        assert "Traceback" not in text.read_text()
        return text.read_text()


def eventually(probe: Callable[[], T | None], seconds: float, what: str, every: float = 1.0) -> T:
    """What `probe` returns once it is something."""
    deadline = time.monotonic() + seconds
    while True:
        if (value := probe()) is not None:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(every)
