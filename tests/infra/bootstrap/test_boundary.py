"""Within the boundary a cluster works, and nobody gains rights."""

import pytest

from bootstrap import boundary
from bootstrap.state import State
from iam_simulator import permits

POLICY = [boundary.policy(State("123456789012", "eu-central-1", "shared"))]
ROLE = "arn:aws:iam::123456789012:role"


@pytest.mark.parametrize(
    "action",
    [
        "ec2:RunInstances",
        "ecr:BatchGetImage",
        "elasticloadbalancing:CreateLoadBalancer",
        "eks-auth:AssumeRoleForPodIdentity",
        "iam:AddRoleToInstanceProfile",
        "iam:CreateInstanceProfile",
        "logs:PutLogEvents",
        "s3:GetObject",
        "secretsmanager:GetSecretValue",
    ],
)
def test_what_clusters_nodes_and_pods_need(action: str) -> None:
    assert permits(POLICY, action, "*", {})


@pytest.mark.parametrize(
    "action",
    [
        "iam:AttachRolePolicy",
        "iam:CreateAccessKey",
        "iam:CreatePolicyVersion",
        "iam:CreateRole",
        "iam:CreateUser",
        "iam:DeleteRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:UpdateAssumeRolePolicy",
        "account:CloseAccount",
        "lambda:CreateFunction",
        "organizations:LeaveOrganization",
    ],
)
def test_what_would_give_rights(action: str) -> None:
    assert not permits(POLICY, action, "*", {})


def test_only_roles_of_stacks_are_passed_on() -> None:
    assert permits(POLICY, "iam:PassRole", f"{ROLE}/ml-platform/dev/node-1", {})
    for other in ("admin", "ml-platform-deploy-prod"):
        assert not permits(POLICY, "iam:PassRole", f"{ROLE}/{other}", {})


def test_the_state_is_out_of_reach() -> None:
    bucket = "arn:aws:s3:::ml-platform-state-123456789012"
    assert not permits(POLICY, "s3:GetObject", f"{bucket}/.pulumi/stacks/ml-platform/dev.json", {})
    assert not permits(POLICY, "s3:ListBucket", bucket, {})
    assert not permits(POLICY, "kms:Decrypt", "*", {"kms:ResourceAliases": ["alias/ml-platform-state"]})
    assert permits(POLICY, "kms:Decrypt", "*", {"kms:ResourceAliases": ["alias/other"]})
