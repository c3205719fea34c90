"""Jobs end clearly, whatever happens to their pod, to the controller, or to the pull request."""

from collections.abc import Iterator

import pytest
import yaml

from cli import loop
from digits import propose
from forge import PullRequest, WorkflowRun
from live import Platform, eventually

NAMESPACE = "runner-controller"


@pytest.fixture
def pull(live: Platform) -> Iterator[PullRequest]:
    """A pull request whose training is about to start."""
    opened = live.propose("Train for a test", lambda text: propose.rewrite(text, propose.worse(yaml.safe_load(text))))
    yield opened
    live.drop(opened)
    eventually(lambda: True if not live.job_pods() else None, 300, "all job pods gone")


def training(live: Platform, sha: str) -> WorkflowRun | None:
    return next((run for run in live.member.workflow_runs(sha) if run.workflow == "train.yml"), None)


def pod_of_training(live: Platform, pull: PullRequest) -> str:
    """The running pod of the pull request's training job."""

    def running() -> str | None:
        run = training(live, pull.head_sha)
        if run is None or run.status != "in_progress":
            return None
        for name in live.job_pods():
            pod = live.kubectl.find("pod", name, "-n", NAMESPACE)
            # The report of the opening runs beside it and is over in seconds.
            if pod and pod["status"]["phase"] == "Running" and "train" in str(pod["metadata"].get("annotations", {})):
                return name
        return None

    return eventually(running, 300, "the training job's pod")


def ended(live: Platform, pull: PullRequest, seconds: float = 300) -> WorkflowRun:
    def over() -> WorkflowRun | None:
        run = training(live, pull.head_sha)
        return run if run and run.completed else None

    return eventually(over, seconds, "the end of the training job")


@pytest.mark.faults
def test_a_killed_pod_fails_its_job_and_the_gate_says_so(live: Platform, pull: PullRequest) -> None:
    pod = pod_of_training(live, pull)
    live.kubectl.run("delete", "pod", pod, "-n", NAMESPACE, "--grace-period=0", "--force")
    run = ended(live, pull)
    assert run.conclusion == "failure"
    (job,) = live.member.jobs(run.id)
    log = "\n".join(loop.job_log(live.cluster, live.paths, job.id))
    assert "pod" in log.lower()
    state, description = live.gate(pull)
    assert state == "failure"
    assert "training ended" in description


@pytest.mark.faults
def test_a_newer_commit_cancels_the_training_of_the_older(live: Platform, pull: PullRequest) -> None:
    pod = pod_of_training(live, pull)
    text = (live.member.read_file(loop.PARAMS, pull.head_sha) or b"").decode()
    live.amend(pull, {loop.PARAMS: f"{text}\n# again\n"})
    assert ended(live, pull).conclusion == "cancelled"
    eventually(
        lambda: True if live.kubectl.find("pod", pod, "-n", NAMESPACE) is None else None, 120, "the end of its pod"
    )


@pytest.mark.faults
def test_a_killed_controller_leaves_no_job_running_for_ever(live: Platform, pull: PullRequest) -> None:
    pod_of_training(live, pull)
    live.kubectl.run(
        "delete",
        "pod",
        "-n",
        NAMESPACE,
        "-l",
        "app.kubernetes.io/name=runner-controller",
        "--grace-period=0",
        "--force",
    )
    assert ended(live, pull, 900).conclusion in {"success", "failure"}
    live.settle(240)
