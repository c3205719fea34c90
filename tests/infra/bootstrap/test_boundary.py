"""Within its boundary a stack's role works, gains no rights, and reaches nothing of another stack."""

import json
from typing import Any

import pulumi
import pytest

import aws_shared
import aws_stage
import example
from aws import naming
from bootstrap import account as accounts
from bootstrap import boundary, deploy
from bootstrap.state import State
from components.pod_access import PodAccess, PodAccessArgs
from example import ACCOUNT, EXAMPLE, REGION
from iam_simulator import permits
from recording import Recording, record
from settings import AwsStage, Paths
from settings.aws import SystemNodes

STAGES = ("dev", "staging", "prod")
STATE = State(ACCOUNT, REGION, "shared")
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
DATA, MODELS = (f"arn:aws:s3:::ml-platform-{bucket}-{ACCOUNT}" for bucket in ("data", "models"))
THERE = {"aws:RequestedRegion": REGION}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def of(stack: str) -> list[str]:
    cluster = example.shared() if stack == "shared" else example.stage(stack)
    return [boundary.policy(cluster, example.shared(), STATE)]


def owned(stack: str) -> dict[str, str]:
    return {**THERE, "aws:ResourceTag/Environment": stack}


DEV = of("dev")
BEFORE = [boundary.account_policy(accounts.load(ACCOUNT, EXAMPLE).clusters, example.shared(), STATE)]
# What a role of dev would have to be allowed so that whoever deploys dev reaches prod, or what all share.
REACHES = [
    ("s3:DeleteObjectVersion", f"{MODELS}/bentos/x", owned("shared")),
    ("s3:DeleteBucket", DATA, owned("shared")),
    ("eks:DeleteCluster", arn("eks", "cluster/ml-platform-prod"), owned("prod")),
    ("eks:CreateAccessEntry", arn("eks", "cluster/ml-platform-prod"), owned("prod")),
    ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:ml-platform-prod/x"), owned("prod")),
    ("kms:ScheduleKeyDeletion", arn("kms", "key/1"), owned("prod")),
    ("ecr:BatchDeleteImage", arn("ecr", "repository/classifier"), owned("shared")),
    ("ec2:TerminateInstances", arn("ec2", "instance/i-1"), owned("prod")),
]


@pytest.mark.parametrize(("action", "resource", "context"), REACHES, ids=[action for action, *_ in REACHES])
def test_s11_a_role_made_by_the_deploy_role_of_dev_reaches_neither_prod_nor_what_all_share(
    action: str, resource: str, context: dict[str, str]
) -> None:
    """It can be given any policy and trusted to anybody, so the boundary of such a role is what it may do."""
    makes = list(deploy.policies(example.stage("dev")).values())
    ladder = f"{ROLE}/ml-platform/dev/ladder"
    for name in (naming.boundary("prod"), naming.boundary("shared"), naming.account_boundary(), None):
        within = {} if name is None else {"iam:PermissionsBoundary": naming.policy_arn(ACCOUNT, name)}
        for step in ("iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:AttachRolePolicy"):
            assert not permits(makes, step, ladder, {**THERE, **within}), (step, name)
    within = {"iam:PermissionsBoundary": naming.policy_arn(ACCOUNT, naming.boundary("dev"))}
    assert permits(makes, "iam:CreateRole", ladder, {**THERE, **within})

    assert not permits(DEV, action, resource, context)
    assert not permits(makes, action, resource, context)


@pytest.mark.parametrize("stack", ["shared", *STAGES])
@pytest.mark.parametrize(
    "action",
    ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion"],
)
def test_s11_no_deploy_role_and_no_role_that_it_makes_edits_a_boundary(stack: str, action: str) -> None:
    makes = list(deploy.policies(example.shared() if stack == "shared" else example.stage(stack)).values())
    for name in (naming.account_boundary(), *map(naming.boundary, ("shared", *STAGES))):
        policy = naming.policy_arn(ACCOUNT, name)
        assert not permits([*makes, STATE.writer(stack)], action, policy, THERE)
        assert not permits(of(stack), action, policy, THERE)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("eks:DescribeCluster", arn("eks", "cluster/ml-platform-prod"), THERE),
        ("eks-auth:AssumeRoleForPodIdentity", arn("eks", "cluster/ml-platform-prod"), THERE),
        ("iam:PassRole", f"{ROLE}/ml-platform/prod/node-1", THERE),
        ("iam:PassRole", f"{ROLE}/ml-platform-deploy-dev", THERE),
        ("iam:RemoveRoleFromInstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/eks-1", owned("prod")),
        ("kms:Decrypt", arn("kms", "key/1"), owned("prod")),
        ("kms:Decrypt", arn("kms", "key/1"), {**owned("prod"), "kms:ViaService": f"ec2.{REGION}.amazonaws.com"}),
        ("kms:Decrypt", arn("kms", "key/1"), THERE),
        ("logs:GetLogEvents", arn("logs", "log-group:/aws/eks/ml-platform-prod/cluster"), THERE),
        ("ssm:SendCommand", arn("ec2", "instance/i-1"), THERE),
        ("ssm:GetParameter", arn("ssm", "parameter/ml-platform-prod/x"), THERE),
        ("ec2:CreateTags", arn("ec2", "instance/i-1"), owned("prod")),
        ("s3:PutBucketPolicy", DATA, THERE),
        ("s3:GetObject", f"{DATA}/other/x", THERE),
        ("s3:DeleteObject", f"{MODELS}/bentos/x", THERE),
        ("s3:PutObject", f"{MODELS}/bentos/x", THERE),
        ("s3:GetObject", "arn:aws:s3:::a-bucket-of-the-account/x", THERE),
        ("secretsmanager:GetSecretValue", arn("secretsmanager", "secret:other/x"), THERE),
        ("ecr:PutImage", arn("ecr", "repository/classifier"), THERE),
        ("sts:AssumeRole", f"{ROLE}/ml-platform/prod/node-1", THERE),
    ],
)
def test_s11_nor_in_other_ways(action: str, resource: str, context: dict[str, str]) -> None:
    assert not permits(DEV, action, resource, context)


@pytest.mark.parametrize("tag", boundary.CLUSTER_TAGS)
def test_what_eks_made_for_another_cluster_is_known_by_its_tag(tag: str) -> None:
    key = f"aws:ResourceTag/{tag}"
    for action in ("autoscaling:SetDesiredCapacity", "ec2:DeleteVolume", "elasticloadbalancing:DeleteLoadBalancer"):
        assert permits(DEV, action, "*", {**THERE, key: "ml-platform-dev"})
        assert permits(DEV, action, "*", THERE)
        assert not permits(DEV, action, "*", {**THERE, key: "ml-platform-prod"})


@pytest.mark.parametrize("policy", [*map(of, STAGES), BEFORE], ids=[*STAGES, "before"])
@pytest.mark.parametrize(
    "action",
    [
        "ec2:CreateFleet",
        "ec2:CreateNetworkInterface",
        "ec2:RunInstances",
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "elasticloadbalancing:CreateLoadBalancer",
        "iam:CreateServiceLinkedRole",
        "logs:PutLogEvents",
        "wafv2:AssociateWebACL",
    ],
)
def test_what_clusters_and_nodes_need_by_aws_own_policies(policy: list[str], action: str) -> None:
    assert permits(policy, action, "*", THERE)


@pytest.mark.parametrize("stack", STAGES)
def test_and_what_of_it_is_theirs(stack: str) -> None:
    own = owned(stack)
    volume = {**THERE, "kms:ViaService": f"ec2.{REGION}.amazonaws.com"}
    for action, resource, context in (
        ("ec2:TerminateInstances", arn("ec2", "instance/i-1"), own),
        ("eks-auth:AssumeRoleForPodIdentity", arn("eks", f"cluster/ml-platform-{stack}"), own),
        ("eks:DescribeCluster", arn("eks", f"cluster/ml-platform-{stack}"), own),
        ("iam:AddRoleToInstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/eks-1", THERE),
        ("iam:PassRole", f"{ROLE}/ml-platform/{stack}/node-1", own),
        ("kms:CreateGrant", arn("kms", "key/aws-ebs"), volume),
        ("ecr:CreateRepository", arn("ecr", "repository/quay.io/a/b"), THERE),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}::parameter/aws/service/eks/optimized-ami", THERE),
        ("ecr:BatchGetImage", arn("ecr", "repository/classifier"), owned("shared")),
    ):
        for policy in (of(stack), BEFORE):
            assert permits(policy, action, resource, context), action


def settings(stack: str, compute: str) -> AwsStage:
    found = example.stage(stack)
    nodes = SystemNodes(instanceTypes=["m7i.large"], min=2, max=4) if compute == "managed" else None
    changed = found.kubernetes.model_copy(update={"compute": compute, "system_nodes": nodes})
    return found.model_copy(update={"kubernetes": changed})


def roles(stack: str, compute: str) -> Recording:
    """What of a stage has roles: its network, its cluster and its pods."""
    shared = example.shared()

    def compose() -> None:
        buckets = {purpose: f"arn:aws:s3:::{name}" for purpose, name in shared.buckets.model_dump().items()}
        stage = aws_stage.Stage(
            settings(stack, compute), shared, pulumi.Output.from_input("registry"), pulumi.Output.from_input(buckets)
        )
        network = aws_stage.make_network(stage, pulumi.ResourceOptions())
        aws_stage.make_cluster(stage, network, pulumi.ResourceOptions())
        PodAccess("access", PodAccessArgs(stage.owner, stage.name, aws_stage.pod_grants(stage)))

    return record(compose, stack)


def granted(recorded: Recording) -> list[dict[str, Any]]:
    found = [
        statement
        for item in recorded.of("aws:iam/rolePolicy:RolePolicy")
        for statement in json.loads(item.inputs["policy"])["Statement"]
    ]
    assert {item.inputs["permissionsBoundary"] for item in recorded.of("aws:iam/role:Role")} == {
        naming.policy_arn(ACCOUNT, naming.boundary(recorded[0].urn.split("::")[0].removeprefix("urn:pulumi:")))
    }
    assert found
    return found


def beyond(policy: list[str], stack: str, statements: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of what roles are granted, what a boundary takes away."""
    return [
        (action, resource)
        for statement in statements
        for action in statement["Action"]
        for resource in statement["Resource"]
        if not permits(policy, action, resource.replace("*", "x"), owned(stack))
    ]


@pytest.mark.parametrize("compute", ["auto", "managed"])
@pytest.mark.parametrize("stack", STAGES)
def test_it_takes_nothing_of_what_the_roles_of_a_stage_are_granted(stack: str, compute: str) -> None:
    statements = granted(roles(stack, compute))
    assert beyond(of(stack), stack, statements) == []
    assert beyond(BEFORE, stack, statements) == [], "roles have the old one until their stack is applied"
    other = of("dev" if stack == "prod" else "prod")
    assert beyond(other, stack, statements), "another stage's would"


def test_nor_of_what_those_of_the_shared_stack_are() -> None:
    with example.instead():
        statements = granted(record(lambda: aws_shared.compose(example.shared(), Paths.from_environment()), "shared"))
    assert beyond(of("shared"), "shared", statements) == []
    assert beyond(BEFORE, "shared", statements) == []
    assert not permits(of("shared"), "ec2:RunInstances", "*", THERE)


@pytest.mark.parametrize("policy", [*map(of, ("shared", *STAGES)), BEFORE], ids=["shared", *STAGES, "before"])
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
def test_what_would_give_rights(policy: list[str], action: str) -> None:
    assert not permits(policy, action, "*", {})


@pytest.mark.parametrize("policy", [*map(of, STAGES), BEFORE], ids=[*STAGES, "before"])
def test_the_state_is_out_of_reach(policy: list[str]) -> None:
    bucket = f"arn:aws:s3:::ml-platform-state-{ACCOUNT}"
    assert not permits(policy, "s3:GetObject", f"{bucket}/.pulumi/stacks/ml-platform/dev.json", {})
    assert not permits(policy, "s3:ListBucket", bucket, {})
    for context in (owned("dev"), {**THERE, "kms:ViaService": f"ec2.{REGION}.amazonaws.com"}):
        key = {**context, "kms:ResourceAliases": ["alias/ml-platform-state"]}
        assert not permits(policy, "kms:Decrypt", "*", key)
