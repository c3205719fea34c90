"""Jobs from a real forge in pods of a real API server: what people see of them."""

import textwrap

import pytest
from runner_harness.cluster import Cluster
from runner_harness.forge import Forge
from runner_harness.kubelet import Kubelet
from runner_harness.process import eventually

pytestmark = [pytest.mark.tools, pytest.mark.usefixtures("controller")]


def job(forge: Forge, name: str, steps: str, extra: str = "") -> dict:
    """Push a branch with a workflow of one job; its run."""
    workflow = f"""\
name: {name}
on: {{push: {{branches: [{name}]}}}}
permissions: {{contents: read}}
jobs:
  work:
    runs-on: ml-cpu
{textwrap.indent(textwrap.dedent(extra), "    ")}
    steps:
{textwrap.indent(textwrap.dedent(steps), "      ")}
"""
    sha = forge.push(name, {f".github/workflows/{name}.yml": workflow})
    return forge.run_of(f"{name}.yml", sha)


def no_pods(cluster: Cluster) -> bool:
    return not cluster.objects("pods")


def test_steps_are_shown_one_by_one(forge: Forge, cluster: Cluster) -> None:
    run = job(
        forge,
        "success",
        """\
        - uses: actions/checkout@08eba0b27e820071cde6df949e0beb9ba4906955
          with: {persist-credentials: false}
        - name: look
          run: |
            git status --short; git log --oneline | wc -l
            test -t 1 && echo terminal || echo pipe
            echo "::group::inside"; echo "sha $GITHUB_SHA ref $GITHUB_REF event $GITHUB_EVENT_NAME"; echo "::endgroup::"
            python3 -c "import json, os; print('event', json.load(open(os.environ['GITHUB_EVENT_PATH']))['ref'])"
            echo "server $GITHUB_SERVER_URL bucket $DATA_BUCKET"
            echo "## summary" >> "$GITHUB_STEP_SUMMARY"
        - id: never
          if: github.ref == 'refs/heads/other'
          run: echo never
        - run: echo last
        """,
    )
    ended = forge.finished(run)
    log = forge.log(ended)
    assert ended["conclusion"] == "success", log
    assert [(step["name"], step["conclusion"]) for step in ended["steps"]] == [
        ("Run actions/checkout@08eba0b27e820071cde6df949e0beb9ba4906955", "success"),
        ("look", "success"),
        ("Run echo never", "skipped"),
        ("Run echo last", "success"),
    ]
    for line in (
        "Trust: untrusted (push on refs/heads/success: not defined by refs/heads/main)",
        "1",
        "pipe",
        "::group::inside",
        f"sha {run['head_sha']} ref refs/heads/success event push",
        "event refs/heads/success",
        f"server {forge.url} bucket ml-data",
        "last",
        "Job succeeded",
    ):
        assert line in log.splitlines(), log
    eventually(lambda: no_pods(cluster), "the pod is deleted")
