"""Infrastructure from a pull request to AWS: real forge, real events, the real engine against an emulated account.

The program is a small one, so that a preview takes seconds; the stacks themselves are tested in tests/infra.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws import emulation
from control_plane.stack import cache
from emulator.process import Emulator, emulator
from example import ACCOUNT, EXAMPLE
from settings import ROOT

pytestmark = pytest.mark.tools

Project = Any
EMULATOR = "TEST_EMULATOR"  # no variable that a job would look at
OPENED = ("preview.yml pull_request", "report.yml pull_request_target", "train.yml pull_request")
PREVIEW, REPORT, TRAIN = OPENED
ENDED = "report.yml workflow_run"
APPLY, RELEASE = "apply.yml push", "release.yml push"
NIGHTLY = "nightly.yml push"  # the first push brings a lock of Python packages
PROGRAM = """
import pulumi
import pulumi_aws as aws

import providers
from aws import tags
from settings import AwsShared, load_cluster

cluster = load_cluster(pulumi.get_stack())
here = pulumi.ResourceOptions(provider=providers.aws_account(cluster))


def logs(resource, days, **more):
    aws.cloudwatch.LogGroup(resource, retention_in_days=days, tags=tags.tags(cluster.name, "logs"), opts=here, **more)


if isinstance(cluster, AwsShared):
    logs("shared", cluster.retention.untagged_image_days)
    pulumi.export("registry_host", "registry.example")
else:
    logs("network", cluster.network.flow_log_days)
    logs("cluster", cluster.kubernetes.log_days, name=f"/cluster/{cluster.kubernetes.version}")
    if cluster.gpu:
        logs("gpu", 7)
"""
FAILING = """
if not pulumi.runtime.is_dry_run():
    raise pulumi.RunError("this only fails for real")
"""
UNTAGGED = """
aws.cloudwatch.LogGroup("untagged", retention_in_days=7, opts=here)
"""


def cluster_file(name: str, **changes: Any) -> str:
    document: dict[str, Any] = yaml.safe_load((EXAMPLE / "clusters" / name / "cluster.yaml").read_text())
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[key] = value
    return yaml.safe_dump(document)


def dev(**changes: Any) -> dict[str, str]:
    return {"clusters/dev/cluster.yaml": cluster_file("dev", **changes)}


def shared(**changes: Any) -> dict[str, str]:
    return {"clusters/shared/cluster.yaml": cluster_file("shared", stages=["dev"], **changes)}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("aws"), "--prepared") as running:
        yield running


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def project(
    new_project: Callable[[Mapping[str, str]], Project], gitea: Any, aws: Emulator, tools: Path, tmp_path: Path
) -> Project:
    """A project of which nothing has been applied yet."""
    found = new_project({})
    places = {"ML_PLATFORM_CACHE_DIR": str(tools), "ML_PLATFORM_STATE_DIR": str(tmp_path / "state"), EMULATOR: aws.url}
    found.variables.update(places)
    gitea.api("POST", f"/repos/{found.name}/actions/variables/AWS_ENDPOINT_URL", "owner", {"value": aws.url})
    _empty(aws)
    ignored = shutil.ignore_patterns("__pycache__", "ansible", "images", "toolchain", "bootstrap")
    shutil.copytree(ROOT / "infra", found.root / "infra", ignore=ignored)
    shutil.copytree(ROOT / "src", found.root / "src", ignore=ignored, dirs_exist_ok=True)
    (found.root / "infra" / "__main__.py").write_text(PROGRAM)
    for name in ("Pulumi.yaml", "requirements/ops.txt"):
        shutil.copy(ROOT / name, found.root / name)
    found.push("main", {**dev(), **shared()})
    return found


def _empty(aws: Emulator) -> None:
    """An account as infra/bootstrap leaves it."""
    s3, logs = aws.client("s3"), aws.client("logs")
    bucket = f"ml-platform-state-{ACCOUNT}"
    for one in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=one["Key"])
    for group in logs.describe_log_groups()["logGroups"]:
        logs.delete_log_group(logGroupName=group["logGroupName"])


def groups(aws: Emulator) -> dict[str, int]:
    """The retention in days of each log group that is there, by the stem of its name."""
    found = aws.client("logs").describe_log_groups()["logGroups"]
    return {one["logGroupName"].rsplit("-", 1)[0]: one["retentionInDays"] for one in found}


def apply(project: Project, **expected: int) -> str:
    """Let a push to main be applied, stack after stack; returns what the jobs said."""
    output = ""
    waiting = {RELEASE, "shared", "dev", "staging", "prod"}
    while waiting:
        task = project.runner.take()
        assert task, f"never came: {waiting}"
        name = f"{task['context']['workflow']} {task['context']['event_name']}"
        if name in (NIGHTLY, RELEASE):
            waiting.discard(name)
            project.finish(task)
            continue
        assert name == APPLY
        stack = next(one for one in ("shared", "dev", "staging", "prod") if one in waiting)
        waiting.remove(stack)
        status = expected.get(stack, 0)
        output += project.run(task, status)
        if status:
            # Those after it are never handed out.
            waiting -= {"dev", "staging", "prod"}
    return output


def make(project: Project, *stacks: str) -> None:
    """Make stacks without anything in them, as `scripts/up --environment` begins."""
    program = (
        "import sys, settings, stack; paths = settings.Paths.from_environment();"
        "[stack.prepare(settings.load_cluster(name), paths, print) for name in sys.argv[1:]]"
    )
    emulated = {"AWS_ENDPOINT_URL": project.variables[EMULATOR], **emulation.credentials(ACCOUNT)}
    variables = {
        **os.environ,
        **project.variables,
        **emulated,
        "PYTHONPATH": f"{project.root}/src:{project.root}/infra",
    }
    subprocess.run([sys.executable, "-c", program, *stacks], cwd=project.root, env=variables, check=True)


def finish_push(project: Project) -> None:
    """Let a push to main pass without applying anything."""
    project.drop(RELEASE, NIGHTLY, *[APPLY] * 4)


def merge(project: Project, pull: Any) -> str:
    sha: str = project.member.merge_pull_request(pull.number, project.member.pull_request(pull.number).head_sha)
    return sha


def preview(project: Project, expected: int = 0) -> str:
    """Bring a newly opened pull request to its previewed state; returns what the preview said."""
    tasks = project.take(*OPENED)
    project.run(tasks[REPORT])
    project.finish(tasks[TRAIN])
    project.drop(ENDED)
    output: str = project.run(tasks[PREVIEW], expected)
    project.run(project.take(ENDED)[ENDED])
    return output


def status(project: Project, sha: str, context: str = "infrastructure") -> tuple[str, str]:
    found = project.member.status(sha, context, "bot")
    assert found, f"{context} was never set"
    return found.state, found.description


def comment(project: Project, number: int, marker: str = "infrastructure") -> str:
    found = [one for one in project.member.comments(number) if one.body.startswith(f"<!-- ml-platform:{marker} -->")]
    assert len(found) == 1
    assert found[0].author == "bot"
    body: str = found[0].body
    return body


@pytest.mark.infrastructure
def test_changes_are_previewed_merged_and_applied(project: Project, aws: Emulator) -> None:
    make(project, "shared", "dev")
    apply(project)
    assert groups(aws)["network"] == 14
    changed = dev(network__flowLogDays=30, kubernetes__version="1.35", gpu=None)
    pull = project.propose("more", changed)
    tasks = project.take(*OPENED)
    project.run(tasks[REPORT])
    assert status(project, pull.head_sha) == ("pending", "being previewed")
    assert "being previewed" in comment(project, pull.number)
    project.finish(tasks[TRAIN])
    project.drop(ENDED)

    assert "left for the report" in project.run(tasks[PREVIEW])
    assert groups(aws)["network"] == 14
    project.run(project.take(ENDED)[ENDED])
    assert status(project, pull.head_sha) == ("success", "dev: 1 to delete, 1 to replace, 1 to update")
    text = comment(project, pull.number)
    assert "| **replace** | `cluster` | `aws:cloudwatch/logGroup:LogGroup` | **`name`** |" in text
    assert "| **delete** | `gpu` |" in text
    assert "| update | `network` | `aws:cloudwatch/logGroup:LogGroup` | `retentionInDays` |" in text
    assert "pass." in text

    sha = merge(project, pull)
    output = apply(project)
    assert "shared: nothing that affects it has changed" in output
    assert "main describes no stack staging" in output
    assert status(project, sha, "apply/dev") == ("success", "1 delete, 1 replace, 1 update")
    assert project.member.status(sha, "apply/shared", "bot") is None
    assert groups(aws)["network"] == 30
    # Nothing surprising happened, so nobody is told more.
    assert not [one for one in project.member.comments(pull.number) if "apply/dev" in one.body]

    # What was applied is what main says.
    words = project.propose("words", {"clusters/dev/cluster.yaml": "# words\n" + changed["clusters/dev/cluster.yaml"]})
    preview(project)
    assert status(project, words.head_sha) == ("success", "dev: no changes")
    assert "<summary>No changes: dev</summary>" in comment(project, words.number)

    # A policy refuses what is not tagged; what another pull request brings to main meanwhile is told at the apply.
    program = (project.root / "infra" / "__main__.py").read_text()
    untagged = project.propose("untagged", {"infra/__main__.py": program + UNTAGGED})
    preview(project, expected=2)
    assert status(project, untagged.head_sha)[0] == "failure"
    assert "| **mandatory** | `required-tags` | `untagged` |" in comment(project, untagged.number)

    other = project.propose("other", shared(retention__untaggedImageDays=30))
    preview(project)
    merge(project, other)
    apply(project)
    sha = merge(project, words)
    apply(project)
    assert status(project, sha, "apply/dev") == ("success", "no changes")
    text = comment(project, words.number, "apply/dev")
    assert "main moved after the preview" in text
    assert "clusters/shared/cluster.yaml" in text


@pytest.mark.infrastructure
def test_a_failed_apply_is_seen_and_made_good_by_the_next(project: Project) -> None:
    program = (project.root / "infra" / "__main__.py").read_text()
    make(project, "shared")
    assert "stack dev does not exist yet" in apply(project)
    pull = project.propose("failing", {"infra/__main__.py": program + FAILING})
    preview(project)
    assert status(project, pull.head_sha) == ("success", "shared: no changes; dev: not made yet")
    sha = merge(project, pull)
    assert "shared was not applied as a whole" in apply(project, shared=2)
    assert status(project, sha, "apply/shared") == ("failure", "failed: this only fails for real")
    text = comment(project, pull.number, "apply/shared")
    assert "this only fails for real" in text
    assert "Main is not what runs on" in text
    assert project.member.status(sha, "apply/dev", "bot") is None

    pull = project.propose("repaired", {"infra/__main__.py": program})
    preview(project)
    sha = merge(project, pull)
    apply(project)
    assert status(project, sha, "apply/shared") == ("success", "no changes")


def test_what_cannot_be_previewed_says_why_and_is_refused(project: Project) -> None:
    finish_push(project)
    pull = project.propose("broken", dev(network__flowLogDays=31))
    assert "the preview of dev failed" in preview(project, expected=2)
    assert status(project, pull.head_sha) == ("failure", "dev: failed")
    assert "clusters/dev/cluster.yaml: network.flowLogDays: 31 is not a retention" in comment(project, pull.number)

    pull = project.propose("new", dev(network__flowLogDays=60))
    preview(project)
    assert status(project, pull.head_sha) == ("success", "dev: not made yet")
    assert "`scripts/up --environment dev` makes it" in comment(project, pull.number)

    # It runs the pull request's own code, so it may leave anything, or nothing.
    pull = project.propose("liar", {**dev(network__flowLogDays=60), "scripts/ci/preview": "#!/bin/sh\nexit 0\n"})
    preview(project)
    assert status(project, pull.head_sha) == ("failure", "the preview ended without a result: run it again")


def test_other_changes_and_other_forges_pass_at_once(project: Project, gitea: Any) -> None:
    finish_push(project)
    pull = project.propose("words", {"README.md": "words\n"})
    tasks = project.take(REPORT, TRAIN)
    project.run(tasks[REPORT])
    assert status(project, pull.head_sha) == ("success", "no stack on AWS is affected")
    assert not [one for one in project.member.comments(pull.number) if "infrastructure" in one.body]
    project.finish(tasks[TRAIN])
    project.drop(ENDED)

    gitea.api("DELETE", f"/repos/{project.name}/actions/variables/AWS_ENDPOINT_URL", "owner")
    pull = project.propose("dev", dev(network__flowLogDays=60))
    tasks = project.take(*OPENED)
    project.run(tasks[REPORT])
    assert status(project, pull.head_sha) == ("success", "this forge has no AWS environments to preview")
    assert "this forge has no AWS environments to preview: nothing to do for dev" in project.run(tasks[PREVIEW])


@pytest.mark.providers
def test_p3_jobs_let_no_other_plugins_replace_or_delete(project: Project, aws: Emulator) -> None:
    make(project, "shared", "dev")
    apply(project)
    s3, place = aws.client("s3"), {"Bucket": f"ml-platform-state-{ACCOUNT}"}
    place["Key"] = ".pulumi/stacks/ml-platform/dev.pulumi-tags"
    record = s3.get_object(**place)["Body"].read()
    assert b"aws=offline@" in record
    s3.put_object(**place, Body=record.replace(b"aws=offline@", b"aws=official@"))

    pull = project.propose("harmful", dev(kubernetes__version="1.35"))
    assert "Pulumi's plugin for aws: the official aws" in preview(project, expected=2)
    assert status(project, pull.head_sha) == ("failure", "dev: failed")
    assert "would be replaced or deleted: replace aws:cloudwatch" in comment(project, pull.number)
    before = groups(aws)
    sha = merge(project, pull)
    assert "would be replaced or deleted" in apply(project, dev=2)
    assert status(project, sha, "apply/dev")[0] == "failure"
    assert groups(aws) == before
    assert b"aws=official@" in s3.get_object(**place)["Body"].read()

    pull = project.propose("harmless", dev(network__flowLogDays=30))
    preview(project)
    assert status(project, pull.head_sha) == ("success", "dev: 1 to update")
    sha = merge(project, pull)
    apply(project)
    assert status(project, sha, "apply/dev") == ("success", "1 update")
    assert s3.get_object(**place)["Body"].read() == record
