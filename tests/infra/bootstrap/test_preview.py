"""A preview may see how things are configured, and nothing that is in them."""

import json

import pytest

from bootstrap import preview
from iam_simulator import permits

POLICY = [preview.policy()]


@pytest.mark.parametrize(
    "action", ["ec2:DescribeVpcs", "eks:DescribeCluster", "iam:GetRolePolicy", "s3:GetBucketPolicy", "tag:GetResources"]
)
def test_it_describes(action: str) -> None:
    assert permits(POLICY, action, "*", {})


@pytest.mark.parametrize(
    "action",
    [
        "ec2:GetPasswordData",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "kms:Decrypt",
        "lambda:GetFunction",
        "logs:GetLogEvents",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "sts:AssumeRole",
    ],
)
def test_it_reads_no_content(action: str) -> None:
    assert not permits(POLICY, action, "*", {})


def test_it_changes_nothing() -> None:
    verbs = {action.partition(":")[2] for one in json.loads(POLICY[0])["Statement"] for action in one["Action"]}
    assert all(verb.startswith(("Describe", "Get", "List")) for verb in verbs)
