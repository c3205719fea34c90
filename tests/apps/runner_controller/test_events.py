"""What a job may hold depends on where the forge took its definition from, whatever the workflow says."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runner_harness.cluster import Cluster
from runner_harness.forge import PASSWORD, REPOSITORY, Forge
from runner_harness.process import eventually

pytestmark = [pytest.mark.tools, pytest.mark.usefixtures("controller")]

# Says what a job holds, without saying a secret.
TELL = """\
      - name: tell
        run: |
          echo "event $GITHUB_EVENT_NAME sha $GITHUB_SHA key $AWS_ACCESS_KEY_ID"
          test -s "$TEST_ROOT/var/run/secrets/ml-platform/bot/token" && echo "bot yes" || echo "bot no"
          test -n "${{ github.token }}" && echo "token yes" || echo "token no"
"""


def workflow(name: str, events: str) -> str:
    return (
        f"name: {name}\non: {events}\npermissions: {{contents: read}}\n"
        f"jobs:\n  tell:\n    runs-on: ml-cpu\n    steps:\n{TELL}"
    )


MAIN = {
    ".github/workflows/change.yml": workflow("change", "{pull_request: {}}"),
    ".github/workflows/report.yml": workflow(
        "report",
        "{pull_request_target: {}, push: {branches: [main]}, workflow_run: {workflows: [change], types: [completed]}}",
    ),
    ".github/workflows/release.yml": workflow("release", "{push: {branches: [main]}}"),
}
HELD_BY_TRUSTED = ["bot yes", "token yes"]
HELD_BY_OTHERS = ["bot no", "token no"]


@pytest.fixture(scope="module")
def main(forge: Forge) -> str:
    """The commit of main, whose own workflows ended."""
    sha = forge.push("main", MAIN)
    for name in ("report.yml", "release.yml"):
        forge.finished(forge.run_of(name, sha))
    return sha


@pytest.fixture
def run_by(forge: Forge) -> Callable[[str, str], dict[str, Any]]:
    """Finds the newest run of a workflow file for an event, after those that were there at the start."""
    before = max((run["id"] for run in forge.runs()), default=0)

    def find(path: str, event: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            runs = [run for run in forge.runs() if run["id"] > before and run["path"].startswith(f"{path}@")]
            return next((run for run in runs if forge.trigger(run) == event), None)

        return eventually(found, f"a run of {path} for {event}", 60) or {}

    return find


def told(forge: Forge, run: dict[str, Any]) -> list[str]:
    """What the job said it holds."""
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    return forge.step(run, "tell").lines


def open_pull_request(forge: Forge, head: str, base: str = "main", user: str = "member") -> dict[str, Any]:
    body = {"head": head, "base": base, "title": f"{head} into {base}"}
    return dict(forge.api("POST", f"/repos/{REPOSITORY}/pulls", user=user, json=body))


def test_push_on_main_is_trusted(forge: Forge, main: str) -> None:
    lines = told(forge, forge.run_of("report.yml", main))
    assert lines == [f"event push sha {main} key dvc", *HELD_BY_TRUSTED]
    lines = told(forge, forge.run_of("release.yml", main))
    # The judge's token is the gate's alone.
    assert lines == [f"event push sha {main} key release", "bot no", "token yes"]


def test_pull_request_is_judged_by_mains_workflows(
    forge: Forge, main: str, run_by: Callable[[str, str], dict[str, Any]]
) -> None:
    head = forge.push("feature", {"feature.txt": "1\n"}, user="member")
    open_pull_request(forge, "feature")
    lines = told(forge, run_by("change.yml", "pull_request"))
    assert lines == [f"event pull_request sha {head} key dvc", *HELD_BY_OTHERS]
    lines = told(forge, run_by("report.yml", "pull_request_target"))
    assert lines == [f"event pull_request_target sha {main} key dvc", *HELD_BY_TRUSTED]
    lines = told(forge, run_by("report.yml", "workflow_run"))
    assert lines == [f"event workflow_run sha {main} key dvc", *HELD_BY_TRUSTED]


def test_branch_cannot_trust_itself(forge: Forge, main: str, run_by: Callable[[str, str], dict[str, Any]]) -> None:
    events = "{pull_request: {}, pull_request_target: {}, workflow_run: {workflows: [change]}, push: {}}"
    changed = {path: workflow(path.split("/")[-1].removesuffix(".yml"), events) for path in MAIN}
    head = forge.push("greedy", changed, user="member")
    lines = told(forge, run_by("release.yml", "push"))
    assert lines == [f"event push sha {head} key dvc", *HELD_BY_OTHERS]
    open_pull_request(forge, "greedy")
    lines = told(forge, run_by("release.yml", "pull_request"))
    assert lines == [f"event pull_request sha {head} key dvc", *HELD_BY_OTHERS]
    lines = told(forge, run_by("report.yml", "pull_request_target"))
    assert lines == [f"event pull_request_target sha {main} key dvc", *HELD_BY_TRUSTED]
    after_runs = [run["path"] for run in forge.runs() if forge.trigger(run) == "workflow_run"]
    assert not [path for path in after_runs if path.startswith("release.yml@")]
    # A pull request into a branch takes pull_request_target from that branch, and the forge records it as its head's.
    forge.push("greedier", {"more.txt": "1\n"}, user="member", base="greedy")
    open_pull_request(forge, "greedier", base="greedy")
    run = run_by("release.yml", "pull_request_target")
    assert forge.finished(run)["conclusion"] == "failure"
    assert "Refused: pull_request_target on refs/heads/greedy" in forge.log(run)


def test_fork_never_runs(
    forge: Forge, main: str, kubernetes: Cluster, run_by: Callable[[str, str], dict[str, Any]]
) -> None:
    forge.api("POST", f"/repos/{REPOSITORY}/forks", user="outsider", json={})
    fork = "outsider/platform"
    eventually(lambda: not forge.api("GET", f"/repos/{fork}", user="outsider")["empty"], "the fork has its branches")
    forge.push("theirs", {"theirs.txt": "1\n"}, user="outsider", repository=fork)
    open_pull_request(forge, "outsider:theirs", user="outsider")
    run = run_by("change.yml", "pull_request")
    assert forge.job(run)["status"] != "completed"
    forge.approve(run)
    assert forge.finished(run)["conclusion"] == "failure"
    assert "Refused: the pull request comes from a fork" in forge.log(run)
    # What judges it is main's own.
    lines = told(forge, run_by("report.yml", "pull_request_target"))
    assert lines == [f"event pull_request_target sha {main} key dvc", *HELD_BY_TRUSTED]


def test_pull_request_pushed_by_a_reader_never_runs(
    forge: Forge, main: str, run_by: Callable[[str, str], dict[str, Any]]
) -> None:
    forge.push(
        "sneaky", {"sneaky.txt": "1\n"}, user="outsider", target="refs/for/main/sneaky", options=("-o", "title=sneaky")
    )
    run = run_by("change.yml", "pull_request")
    if forge.job(run)["status"] != "completed":
        forge.approve(run)
    assert forge.finished(run)["conclusion"] == "failure"
    assert "Refused: the pull request comes from a fork" in forge.log(run)


def test_other_repository_is_not_served(forge: Forge, main: str) -> None:
    forge.api("POST", "/user/repos", user="member", json={"name": "platform", "private": True})
    other = "member/platform"
    forge.push("main", MAIN, user="member", repository=other)
    with httpx.Client(auth=("member", PASSWORD), trust_env=False) as client:

        def jobs() -> list[dict[str, Any]]:
            answer = client.get(f"{forge.url}/api/v1/repos/{other}/actions/tasks").json()
            return [task for task in answer["workflow_runs"] or [] if task["status"] == "failure"]

        eventually(lambda: len(jobs()) == 2, "both jobs are refused", 60)
