"""The pack behind the real command line, which is told of it by the environment alone."""

import subprocess
from pathlib import Path

import pytest

from control_plane.stack import Stack

pytestmark = pytest.mark.tools

PROVIDER = """
import json
import pulumi, pulumi_aws as aws
account = aws.Provider("aws", region="eu-central-1", allowed_account_ids=["123456789012"])
on_aws = pulumi.ResourceOptions(provider=account)
"""
KEY = """
pulumi.CustomResource("aws:kms/key:Key", "key", {"enableKeyRotation": True, "deletionWindowInDays": DAYS, "tags": {
    "Project": "ml-platform", "Environment": "dev", "Component": "key", "ManagedBy": "pulumi"}}, on_aws)
"""
# Its name is made up, so in a preview everything that follows from it is unknown.
BUCKETS = """
bucket = aws.s3.Bucket("data", opts=pulumi.ResourceOptions(provider=account, protect=True))
aws.s3.BucketVersioning("versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=on_aws)
principal = {"AWS": "arn:aws:iam::123456789012:root"}
aws.s3.BucketPolicy("policy", bucket=bucket.id, opts=on_aws, policy=bucket.arn.apply(lambda arn: json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": arn + "/*"}]})))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: ml-platform\nruntime: python\nmain: src/\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "backend").mkdir()
    return tmp_path


def pulumi(
    environment: dict[str, str], project: Path, stack: str, program: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    (project / "src" / "__main__.py").write_text(program)
    variables = {**environment, "PULUMI_BACKEND_URL": f"file://{project}/backend", "PULUMI_STACK": stack}
    if not (project / f"Pulumi.{stack}.yaml").exists():
        init = ["pulumi", "stack", "init", stack]
        subprocess.run(init, cwd=project, env=variables, capture_output=True, check=True)
    command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)


def test_one_violation_fails_the_preview_and_says_what_to_do(loopback: Stack, project: Path) -> None:
    done = pulumi(loopback.environment, project, "dev", PROVIDER + KEY.replace("DAYS", "3"), "preview")
    assert done.returncode != 0
    told = " ".join(done.stdout.split())
    assert "[mandatory] deletion (aws:kms:Key: key)" in told
    assert "aws:kms/key:Key key: deletionWindowInDays: is 3; here it is 7 at least" in told
    assert done.stdout.count("[mandatory]") == 1, done.stdout


def test_it_fails_the_update_too_before_anything_is_made(loopback: Stack, project: Path) -> None:
    """Without a preview before it, and without an AWS to make the key in: nobody got so far as to ask."""
    program = PROVIDER + KEY.replace("DAYS", "3")
    done = pulumi(loopback.environment, project, "dev", program, "up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "deletionWindowInDays: is 3" in done.stdout
    state = pulumi(loopback.environment, project, "dev", program, "stack", "export").stdout
    assert "aws:kms/key:Key" not in state


def test_what_keeps_to_the_rules_passes(loopback: Stack, project: Path) -> None:
    done = pulumi(loopback.environment, project, "dev", PROVIDER + KEY.replace("DAYS", "7"), "preview")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ml-platform@v1.0.0" in done.stdout
    assert "[" not in done.stdout.partition("Policies:")[2], done.stdout


def test_the_cluster_file_of_the_stack_counts(loopback: Stack, project: Path) -> None:
    """What dev may do, prod may not: a week to undo a deletion, and no protection."""
    done = pulumi(loopback.environment, project, "prod", PROVIDER + KEY.replace("DAYS", "7"), "preview")
    assert done.returncode != 0
    assert "deletionWindowInDays: is 7; where data is protected it is 30 at least" in done.stdout
    assert "aws:kms/key:Key key: protect: is not set" in done.stdout


def test_what_a_preview_cannot_know_is_told_and_fails_nothing(loopback: Stack, project: Path) -> None:
    done = pulumi(loopback.environment, project, "local", PROVIDER + BUCKETS, "preview")
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert "can't run policy 'resource-policies' from policy pack" in told
    assert "bucket-versioning" not in told, "the engine tells what an unknown value is made from"


def test_a_setting_that_is_about_another_bucket_does_not_count(loopback: Stack, project: Path) -> None:
    program = PROVIDER + BUCKETS + 'aws.s3.Bucket("other", opts=on_aws)\n'
    done = pulumi(loopback.environment, project, "local", program, "preview")
    assert done.returncode != 0
    assert "aws:s3/bucket:Bucket other: bucket: has no BucketVersioning" in done.stdout
    assert "aws:s3/bucket:Bucket data: bucket: has no BucketVersioning" not in done.stdout


def test_a_pack_that_breaks_fails_the_preview_with_its_error(loopback: Stack, project: Path, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "__main__.py").write_text("raise SystemExit('this pack is broken')\n")
    environment = {**loopback.environment, "PULUMI_OPTION_POLICY_PACK": str(pack)}
    done = pulumi(environment, project, "dev", "", "preview")
    assert done.returncode != 0
    assert "this pack is broken" in done.stdout + done.stderr
