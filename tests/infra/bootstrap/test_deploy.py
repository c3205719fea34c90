"""A deploy role changes what is its stack's, and nothing that is another's."""

import pytest

from bootstrap import deploy
from example import ACCOUNT, REGION, shared, stage
from iam_simulator import permits
from settings import AwsShared, AwsStage

THERE = {"aws:RequestedRegion": REGION}
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/ml-platform-boundary-dev"


def policies(cluster: AwsStage | AwsShared) -> list[str]:
    return list(deploy.policies(cluster).values())


DEV, SHARED = policies(stage("dev")), policies(shared())


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def owned(stack: str) -> dict[str, str]:
    return {**THERE, "aws:ResourceTag/Environment": stack}


def asked(stack: str) -> dict[str, str]:
    return {**THERE, "aws:RequestTag/Environment": stack}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ec2:CreateVpc", arn("ec2", "vpc/*")),
        ("ec2:AllocateAddress", arn("ec2", "elastic-ip/*")),
        ("ec2:CreateTags", arn("ec2", "vpc/*")),
        ("kms:CreateKey", "*"),
        ("logs:CreateLogGroup", arn("logs", "log-group:/aws/eks/ml-platform-dev/cluster")),
    ],
)
def test_it_makes_things_with_its_tag(action: str, resource: str) -> None:
    assert permits(DEV, action, resource, asked("dev"))
    assert not permits(DEV, action, resource, asked("prod"))
    assert not permits(DEV, action, resource, THERE)
    assert not permits(DEV, action, resource, {**asked("dev"), "aws:RequestedRegion": "us-east-1"})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ec2:DeleteVpc", arn("ec2", "vpc/vpc-1")),
        ("ec2:CreateRoute", arn("ec2", "route-table/rtb-1")),
        ("ec2:DeleteTags", arn("ec2", "vpc/vpc-1")),
        ("ec2:AuthorizeSecurityGroupIngress", arn("ec2", "security-group/sg-1")),
        ("ec2:RevokeSecurityGroupIngress", arn("ec2", "security-group/sg-1")),
        ("kms:ScheduleKeyDeletion", arn("kms", "key/1")),
        ("kms:PutKeyPolicy", arn("kms", "key/1")),
        ("logs:DeleteLogGroup", arn("logs", "log-group:a")),
    ],
)
def test_it_changes_what_has_its_tag(action: str, resource: str) -> None:
    assert permits(DEV, action, resource, owned("dev"))
    assert not permits(DEV, action, resource, owned("prod"))
    if action != "ec2:RevokeSecurityGroupIngress":  # the default group's rules go before it has a tag
        assert not permits(DEV, action, resource, THERE)


@pytest.mark.parametrize("action", ["ec2:CreateTags", "kms:TagResource", "logs:TagResource"])
def test_it_takes_over_nothing_by_tagging_it(action: str) -> None:
    """With its own tag in the request, on what is another stack's already."""
    assert not permits(DEV, action, "*", {**asked("dev"), "aws:ResourceTag/Environment": "prod"})
    assert permits(DEV, action, "*", asked("dev")), "what has no tag yet"


def test_it_opens_nothing_that_a_key_closes() -> None:
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom"):
        assert not permits(DEV, action, arn("kms", "key/1"), owned("dev"))
    for action in ("s3:GetObject", "secretsmanager:GetSecretValue", "ssm:GetParameter"):
        assert not permits([*DEV, *SHARED], action, "*", THERE)


def test_its_cluster_is_known_by_name() -> None:
    for resource in ("cluster/ml-platform-dev", "nodegroup/ml-platform-dev/a/1", "addon/ml-platform-dev/coredns/1"):
        assert permits(DEV, "eks:DeleteNodegroup", arn("eks", resource), {})
    for resource in ("cluster/ml-platform-prod", "cluster/ml-platform-dev2", "nodegroup/ml-platform-dev2/a/1"):
        assert not permits(DEV, "eks:DeleteCluster", arn("eks", resource), {})
    assert permits(DEV, "eks:DescribeCluster", arn("eks", "cluster/ml-platform-prod"), {})


class TestRoles:
    own = f"arn:aws:iam::{ACCOUNT}:role/ml-platform/dev/cluster-1"

    def test_it_makes_roles_within_the_boundary(self) -> None:
        within = {"iam:PermissionsBoundary": BOUNDARY}
        for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"):
            assert permits(DEV, action, self.own, within)
            assert not permits(DEV, action, self.own, {})
            assert not permits(DEV, action, self.own, {"iam:PermissionsBoundary": BOUNDARY + "-2"})

    def test_it_cannot_lift_the_boundary(self) -> None:
        assert not permits(DEV, "iam:DeleteRolePermissionsBoundary", self.own, {"iam:PermissionsBoundary": BOUNDARY})
        for action in ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy"):
            assert not permits(DEV, action, BOUNDARY, {})

    @pytest.mark.parametrize(
        "role",
        ["ml-platform-deploy-dev", "ml-platform-preview", "ml-platform/prod/cluster-1", "ml-platform/dev2/a", "admin"],
    )
    def test_other_roles_are_none_of_its_business(self, role: str) -> None:
        other = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        context = {"iam:PermissionsBoundary": BOUNDARY, "iam:PassedToService": "eks.amazonaws.com"}
        for action in ("iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole", "iam:PassRole"):
            assert not permits([*DEV, *SHARED], action, other, context)

    def test_it_hands_its_roles_to_the_services_that_run_them(self) -> None:
        assert permits(DEV, "iam:PassRole", self.own, {"iam:PassedToService": "eks.amazonaws.com"})
        assert not permits(DEV, "iam:PassRole", self.own, {"iam:PassedToService": "lambda.amazonaws.com"})

    def test_it_makes_no_person_and_no_key(self) -> None:
        for action in ("iam:CreateUser", "iam:CreateAccessKey", "iam:CreateOpenIDConnectProvider", "sts:AssumeRole"):
            assert not permits([*DEV, *SHARED], action, "*", {"iam:PermissionsBoundary": BOUNDARY})


class TestShared:
    data = "arn:aws:s3:::ml-platform-data-123456789012"

    def test_it_keeps_the_buckets_and_reads_nothing_in_them(self) -> None:
        assert permits(SHARED, "s3:PutBucketPolicy", self.data, {})
        assert permits(SHARED, "s3:GetBucketVersioning", self.data, {})
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObjectVersion"):
            assert not permits(SHARED, action, f"{self.data}/dvc/1", {})
        assert not permits(SHARED, "s3:PutBucketPolicy", "arn:aws:s3:::ml-platform-state-123456789012", {})

    def test_it_keeps_the_repositories_and_pushes_nothing(self) -> None:
        assert permits(SHARED, "ecr:PutLifecyclePolicy", arn("ecr", "repository/classifier"), {})
        assert not permits(SHARED, "ecr:PutLifecyclePolicy", arn("ecr", "repository/other"), {})
        for action in ("ecr:PutImage", "ecr:BatchDeleteImage", "ecr:GetAuthorizationToken"):
            assert not permits(SHARED, action, arn("ecr", "repository/classifier"), THERE)
        assert permits(SHARED, "ecr:CreatePullThroughCacheRule", "*", THERE)

    def test_it_has_no_network_and_no_cluster(self) -> None:
        assert not permits(SHARED, "ec2:DeleteVpc", "*", owned("shared"))
        assert not permits(SHARED, "eks:CreateCluster", arn("eks", "cluster/ml-platform-shared"), {})
