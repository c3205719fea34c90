"""Jobs from a real forge in pods of a real API server: what people see of them."""

import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runner_harness.cluster import Cluster
from runner_harness.forge import REPOSITORY, Forge
from runner_harness.kubelet import Kubelet
from runner_harness.process import eventually

pytestmark = [pytest.mark.tools, pytest.mark.usefixtures("controller")]

CHECKOUT = "actions/checkout@08eba0b27e820071cde6df949e0beb9ba4906955"


@pytest.fixture(scope="module", autouse=True)
def main_branch(forge: Forge) -> None:
    """A main branch, so that the others are not the default one."""
    forge.push("main", {"README.md": "test\n"})


@pytest.fixture(autouse=True)
def nothing_left(kubernetes: Cluster) -> Iterator[None]:
    """Each job's pod is deleted when the job is over."""
    yield
    eventually(lambda: not kubernetes.objects("pods"), "all pods are deleted")


def start(forge: Forge, name: str, steps: str, *, job: str = "") -> dict[str, Any]:
    """Push a branch with a workflow of one job; its run."""
    workflow = f"""\
name: {name}
on: {{push: {{branches: [{name}]}}}}
permissions: {{contents: read}}
jobs:
  work:
    runs-on: ml-cpu
{textwrap.indent(textwrap.dedent(job), "    ")}
    steps:
{textwrap.indent(textwrap.dedent(steps), "      ")}
"""
    sha = forge.push(name, {f".github/workflows/{name}.yml": workflow})
    return forge.run_of(f"{name}.yml", sha)


def the_pod(kubernetes: Cluster) -> str:
    """The name of the one job pod whose steps run."""

    def found() -> str:
        pods = kubernetes.objects("pods")
        statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", [])]
        return pods[0]["metadata"]["name"] if any("running" in status["state"] for status in statuses) else ""

    return eventually(found, "a running pod")


def test_steps_are_shown_one_by_one(forge: Forge) -> None:
    run = start(
        forge,
        "success",
        f"""\
        - uses: {CHECKOUT}
          with: {{persist-credentials: false}}
        - name: look
          run: |
            git status --short; git log --oneline | wc -l; ls README.md
            test -t 1 && echo terminal || echo pipe
            echo "::group::inside"; echo "$GITHUB_SHA $GITHUB_REF $GITHUB_EVENT_NAME"; echo "::endgroup::"
            python3 -c "import json, os; print('event', json.load(open(os.environ['GITHUB_EVENT_PATH']))['ref'])"
            echo "server $GITHUB_SERVER_URL bucket $DATA_BUCKET"
            git config --get-regexp extraheader || echo "no credentials"
            echo "## summary" >> "$GITHUB_STEP_SUMMARY"
        - name: never
          if: github.ref == 'refs/heads/other'
          run: echo never
        - name: last
          run: |
            printf '10%%\\r100%%\\n'
        """,
    )
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    steps = forge.steps(run)
    assert {name: step.status for name, step in steps.items()} == {
        "Set up job": "success",
        f"Run {CHECKOUT}": "success",
        "look": "success",
        "never": "skipped",
        "last": "success",
        "Complete job": "success",
    }
    assert steps["look"].lines == [
        "1",
        "README.md",
        "pipe",
        "::group::inside",
        f"{run['head_sha']} refs/heads/success push",
        "::endgroup::",
        "event refs/heads/success",
        f"server {forge.url} bucket ml-data",
        "no credentials",
    ]
    assert steps["last"].lines == ["100%"]
    assert steps["Complete job"].lines == ["Job succeeded"]
    assert f"Fetching {REPOSITORY} at {run['head_sha']} (refs/heads/success)" in steps["Set up job"].lines


def test_j_a_branchs_run_gets_an_address_for_its_own_object_and_no_credential_for_it(forge: Forge) -> None:
    steps = """\
        - name: look
          run: |
            echo "${RUN_UPLOAD_URL:-none}"; echo "${RUN_UPLOAD_URL%%[?]*}"
            env | grep -c runs-key-0123456789 || true
        """
    run = start(forge, "upload", steps)
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    whole, place, credentials = forge.steps(run)["look"].lines
    assert place == f"http://127.0.0.1:9/ml-data/runs/{run['id']}"
    assert whole.startswith(f"{place}?X-Amz-Algorithm=")
    assert whole.endswith("&X-Amz-Signature=***")
    assert credentials == "0"


def test_whole_history_on_request(forge: Forge) -> None:
    run = start(
        forge,
        "history",
        f"""\
        - uses: {CHECKOUT}
          with: {{fetch-depth: 0}}
        - name: look
          run: |
            git log --format=%s; git branch --remotes --list origin/main; git rev-parse --abbrev-ref HEAD
            git config --get-regexp extraheader || echo "no credentials"
        """,
    )
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    lines = forge.steps(run)["look"].lines
    assert lines[0] == "change history"
    assert lines[1] == "change main"
    # Credentials stay out of the clone even on request: the job is not trusted with the token.
    assert [line.strip() for line in lines[-3:]] == ["origin/main", "history", "no credentials"]


def test_failure_names_the_step(forge: Forge) -> None:
    run = start(
        forge,
        "failure",
        """\
        - name: good
          run: echo fine
        - name: bad
          run: |
            false | cat
            echo not reached
        - name: after
          run: echo never
        - name: always
          if: always()
          run: echo cleaned up
        """,
    )
    assert forge.finished(run)["conclusion"] == "failure"
    steps = forge.steps(run)
    assert [steps[name].status for name in ("good", "bad", "after", "always")] == [
        "success",
        "failure",
        "skipped",
        "success",
    ]
    assert steps["bad"].lines == ["##[error]exit status 1"]
    assert steps["always"].lines == ["cleaned up"]


def test_a_job_whose_condition_is_false_needs_no_pod(forge: Forge, controller: Any) -> None:
    run = start(forge, "skipped", "- run: echo never", job="if: github.event_name != 'push' && github.actor == 'none'")
    assert forge.finished(run)["conclusion"] == "skipped", forge.log(run)
    log = forge.log(run)
    assert "Skipped: its condition is false: github.event_name != 'push' && github.actor == 'none'" in log
    assert "Pod " not in log
    # The forge knows before the controller counts.
    counted = 'result="skipped",trust="untrusted"} 1.0'
    eventually(lambda: counted in controller.page("/metrics").text, "the job is counted")
    # What asks for more is act's to decide.
    run = start(forge, "decided", "- run: echo never", job="if: vars.NOTHING == 'set'")
    assert forge.finished(run)["conclusion"] == "skipped", forge.log(run)
    assert "Job skipped" in forge.log(run)


def test_secrets_do_not_show(forge: Forge) -> None:
    forge.api("PUT", f"/repos/{REPOSITORY}/actions/secrets/DEEP", json={"data": "deep-secret-of-the-forge"})
    run = start(
        forge,
        "masking",
        """\
        - name: tell
          env: {DEEP: "${{ secrets.DEEP }}"}
          run: |
            echo "one $DEEP two $AWS_SECRET_ACCESS_KEY three $AWS_ACCESS_KEY_ID"
            echo -n "$AWS_SECRET_ACCESS_KEY" | base64 -w0
        - name: token
          run: |
            echo "token [${{ github.token }}] [${{ secrets.GITHUB_TOKEN }}]"; ls "$TEST_ROOT/var/run/ml-platform/job"
        """,
    )
    assert forge.finished(run)["conclusion"] == "success", forge.log(run)
    log = forge.log(run)
    assert "dvc-secret" not in log
    assert "deep-secret" not in log
    assert "ZHZjLXNlY3JldC" not in log
    assert "one *** two *** three dvc" in log
    # What runs code of a branch does not even hold the job's token.
    assert forge.steps(run)["token"].lines == ["token [] []", "event.json", "job.json", "workflow.yaml"]


def test_cancelled_job_ends_at_once(forge: Forge, kubernetes: Cluster) -> None:
    run = start(
        forge,
        "cancel",
        """\
        - name: long
          run: |
            echo started
            sleep 300
        - name: clean
          if: always()
          run: echo cleaned up
        """,
    )
    eventually(lambda: "started" in forge.step(run, "long").lines, "the step's output is shown while it runs", 20)
    forge.cancel(run)
    eventually(lambda: not kubernetes.objects("pods"), "the pod is gone", 20)
    assert forge.finished(run)["conclusion"] == "cancelled"
    log = eventually(lambda: (text := forge.log(run)) and "Job cancelled" in text and text, "the log is complete")
    assert "cleaned up" in log


def test_job_past_its_limit_is_stopped(forge: Forge) -> None:
    run = start(forge, "timeout", "- name: long\n  run: sleep 300", job="timeout-minutes: 0.2")
    assert forge.finished(run)["conclusion"] == "failure"
    steps = forge.steps(run)
    assert steps["long"].status == "failure"
    assert steps["long"].lines == ["##[error]the job ran longer than its timeout-minutes (0.2) and was stopped"]


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("killed", "", "the job's process ended early (exit code 137, signal 9)"),
        ("oom", "OOMKilled", "the job ran out of memory (limit 5Gi) and was killed"),
        ("evicted", "Evicted", "the job's pod was stopped by the cluster: Evicted: The node was low on memory."),
        ("deleted", "deleted", "the job's pod was deleted while it ran, by hand or because its node went away"),
    ],
)
def test_lost_pod_fails_the_job(
    forge: Forge, kubernetes: Cluster, node: Kubelet, *, name: str, reason: str, message: str
) -> None:
    run = start(forge, name, "- name: long\n  run: sleep 300")
    eventually(lambda: forge.step(run, "long").status == "running", "the step runs")
    pod = the_pod(kubernetes)
    if reason == "Evicted":
        node.evict(pod, "The node was low on memory.")
    elif reason == "deleted":
        path = f"/api/v1/namespaces/runner-controller/pods/{pod}"
        kubernetes.call("DELETE", path, params={"gracePeriodSeconds": "0"})
    else:
        node.kill(pod, "job", reason)
    assert forge.finished(run)["conclusion"] == "failure"
    steps = forge.steps(run)
    assert steps["long"].status == "failure"
    assert steps["long"].lines == [f"##[error]{message}"]


def test_job_on_a_drained_node_says_so(forge: Forge, kubernetes: Cluster) -> None:
    run = start(
        forge, "drained", "- name: long\n  run: sleep 300\n- name: clean\n  if: always()\n  run: echo cleaned up"
    )
    eventually(lambda: forge.step(run, "long").status == "running", "the step runs")
    kubernetes.call("DELETE", f"/api/v1/namespaces/runner-controller/pods/{the_pod(kubernetes)}")
    assert forge.finished(run)["conclusion"] == "failure"
    log = forge.log(run)
    assert "The job is being stopped" in log
    assert "cleaned up" in log
    assert "##[error]the job's pod was deleted while it ran, by hand or because its node went away" in log
    assert "memory" not in log


def test_image_that_cannot_be_pulled_fails_the_job(forge: Forge, kubernetes: Cluster, node: Kubelet) -> None:
    annotation = "ml-platform.dev/start-timeout-seconds"
    kubernetes.patch_pool("ml-cpu", {"metadata": {"annotations": {annotation: "3"}}})
    node.missing_images.add("runner-job")
    try:
        pool_is_read_again()
        run = start(forge, "image", "- run: echo never")
        assert forge.finished(run)["conclusion"] == "failure"
        assert "the image of container checkout cannot be pulled: Back-off pulling image runner-job" in forge.log(run)
    finally:
        node.missing_images.clear()
        kubernetes.patch_pool("ml-cpu", {"metadata": {"annotations": {annotation: "60"}}})


def test_pod_that_no_node_takes_fails_the_job(forge: Forge, kubernetes: Cluster, node: Kubelet) -> None:
    annotation = "ml-platform.dev/start-timeout-seconds"
    kubernetes.patch_pool("ml-cpu", {"metadata": {"annotations": {annotation: "3"}}})
    node.cordoned = True
    try:
        pool_is_read_again()
        run = start(forge, "unschedulable", "- run: echo never")
        assert forge.finished(run)["conclusion"] == "failure"
        log = forge.log(run)
        assert "the pod did not start within 3 s (no node can take it: 0/1 nodes are available" in log
    finally:
        node.cordoned = False
        kubernetes.patch_pool("ml-cpu", {"metadata": {"annotations": {annotation: "60"}}})


def test_workflow_that_this_runner_does_not_offer_is_refused(forge: Forge, kubernetes: Cluster) -> None:
    run = start(forge, "container", "- run: echo never", job="container: {image: debian}")
    assert forge.finished(run)["conclusion"] == "failure"
    assert "jobs.work.container is not offered by this runner: remove it and use `run` steps" in forge.log(run)
    run = start(forge, "otherref", f"- uses: {CHECKOUT}\n  with: {{ref: main}}")
    assert forge.finished(run)["conclusion"] == "failure"
    assert "jobs.work.steps[0].with.ref: only the event's own commit is checked out here" in forge.log(run)


def test_no_more_jobs_at_once_than_the_pool_allows(forge: Forge, kubernetes: Cluster) -> None:
    run = start(forge, "many", "- run: sleep 4", job="strategy: {matrix: {number: [1, 2, 3]}}")
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, len([pod for pod in kubernetes.objects("pods") if not pod["spec"].get("schedulingGates")]))
        return all(job["status"] == "completed" for job in forge.jobs(run))

    eventually(ended, "the three jobs end", 90)
    assert most == 2
    assert [job["conclusion"] for job in forge.jobs(run)] == ["success"] * 3


def pool_is_read_again() -> None:
    """Wait until the controller, which looks every five seconds, has seen a change of its pools."""
    time.sleep(7)
