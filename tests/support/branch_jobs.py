"""Jobs of branches, as whoever may push a branch has them run: by forge and controller."""

import textwrap
import time

from cli import loop
from cli.failure import Failure
from live import Platform, eventually

NAMESPACE = "runner-controller"
_PATH = ".github/workflows/probe.yml"


def workflow(branch: str, script: str) -> str:
    """One job, named after its branch, that runs a Python script."""
    steps = textwrap.indent(f"python3 - <<'SCRIPT'\n{script}\nSCRIPT\n", " " * 10)
    return f"""\
name: probe
on: {{push: {{branches: [{branch}]}}}}
permissions: {{}}
jobs:
  {branch}:
    runs-on: ml-cpu
    timeout-minutes: 10
    steps:
      - run: |
{steps}"""


class BranchJobs:
    """Starts and follows them. A job is known by its branch, of which its pod has the name."""

    def __init__(self, live: Platform) -> None:
        self._live = live
        self._commits: dict[str, str] = {}

    def start(self, script: str) -> str:
        """Push a branch whose job runs a script; the branch."""
        branch = f"test-{time.time_ns()}"
        live = self._live
        with loop.Clone(live.member.clone_url, loop.member_login(live.cluster, live.paths)) as clone:
            commit = loop.commit_file(clone, branch, _PATH, workflow(branch, script), "Probe")
            self._commits[branch] = commit
            clone.git("push", "--quiet", live.member.clone_url, f"{branch}:refs/heads/{branch}")
        return branch

    def said(self, branch: str, words: str, seconds: float) -> None:
        """Wait until the running job has printed some words."""

        def found() -> bool | None:
            for pod in self._live.job_pods():
                if pod.endswith(branch):
                    try:
                        return words in self._live.kubectl.run("logs", pod, "-n", NAMESPACE, "-c", "job") or None
                    except Failure:
                        return None  # it has not started, or is over
            return None

        eventually(found, seconds, f"{words!r} in the log of {branch}")

    def ended(self, branch: str) -> str | None:
        """The log of a job, None while it has not ended."""
        commit = self._commits[branch]
        run = next((one for one in self._live.member.workflow_runs(commit) if one.workflow == "probe.yml"), None)
        if run is None or not run.completed:
            return None
        [job] = self._live.member.jobs(run.id)
        return "\n".join(loop.job_log(self._live.cluster, self._live.paths, job.id))

    def log(self, branch: str, seconds: float = 300) -> str:
        """The log of a job once it has ended."""
        return eventually(lambda: self.ended(branch), seconds, "the probe's job")

    def close(self) -> None:
        """Delete the branches."""
        for branch in self._commits:
            self._live.member.delete_branch(branch)
