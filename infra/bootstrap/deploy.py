"""What the deploy role of one stack may change: things of that stack, known by name, path or tag, in its region.

Whoever may tag may take over what others own, so a tag may be put only on what has none yet, or is the stack's already.
The actions are those of https://docs.aws.amazon.com/service-authorization/latest/reference/.
"""

from typing import Any

from aws import iam_documents, naming
from aws.iam_documents import Statement, allow
from aws.owner import Owner
from bootstrap import boundary, preview
from settings import AwsShared, AwsStage

CREATE_TAGGED = (
    "ec2:AllocateAddress",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:CreateFlowLogs",
    "ec2:CreateInternetGateway",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateNatGateway",
    "ec2:CreateRouteTable",
    "ec2:CreateSecurityGroup",
    "ec2:CreateSubnet",
    "ec2:CreateVpc",
    "ec2:CreateVpcEndpoint",
)
# Of what carries no tag yet: what is being made, and the security group that came with the VPC.
CLAIM = (
    "ec2:CreateTags",
    "kms:CreateKey",
    "kms:TagResource",
    "logs:CreateLogGroup",
    "logs:TagResource",
)
# Not the use of a key: nothing that is encrypted is the deploy role's business.
MANAGE_KEY = (
    "kms:CancelKeyDeletion",
    "kms:CreateGrant",
    "kms:DisableKeyRotation",
    "kms:EnableKeyRotation",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
MANAGE_ROLE = (
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:ListInstanceProfilesForRole",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
)
# Each takes the boundary as a condition: without it a role could be given anything.
GRANT = ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy")
PASS_TO = (
    "ec2.amazonaws.com",
    "ecr.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
SERVICE_LINKED = ("autoscaling", "eks", "eks-nodegroup", "elasticloadbalancing", "spot")
MANAGE_BUCKET = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:Get*",
    "s3:ListBucket",
    "s3:ListTagsForResource",
    "s3:PutBucket*",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:TagResource",
    "s3:UntagResource",
)
MANAGE_REPOSITORY = (
    "ecr:CreateRepository",
    "ecr:DeleteLifecyclePolicy",
    "ecr:DeleteRepository",
    "ecr:DeleteRepositoryPolicy",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:TagResource",
    "ecr:UntagResource",
)
MANAGE_REGISTRY = (
    "ecr:*PullThroughCacheRule",
    "ecr:*RepositoryCreationTemplate",
    "ecr:DeleteRegistryPolicy",
    "ecr:PutRegistryPolicy",
    "ecr:PutRegistryScanningConfiguration",
)


def policies(cluster: AwsStage | AwsShared) -> dict[str, str]:
    """The role's policies beside that of the state, by name."""
    owner = Owner(cluster.name, cluster.account, cluster.region)
    own = _shared(owner, cluster) if isinstance(cluster, AwsShared) else _stage(owner)
    return {
        "describe": preview.policy(),
        "resources": iam_documents.document(*own),
        "roles": iam_documents.document(*_roles(owner)),
    }


def _stage(owner: Owner) -> list[Statement]:
    untagged = {"Null": {"aws:ResourceTag/Environment": "true"}}
    own = _equals(owner, {"aws:ResourceTag/Environment": owner.name})
    new = _equals(owner, {"aws:RequestTag/Environment": owner.name})
    template = {"ArnLike": {"ec2:LaunchTemplate": owner.arn("ec2", "launch-template/*")}}
    return [
        allow("ChangeOwn", ["ec2:*", "logs:*", *MANAGE_KEY], ["*"], condition=own),
        allow("Create", CREATE_TAGGED, ["*"], condition=new),
        allow("Claim", CLAIM, ["*"], condition={**new, **untagged}),
        # EC2's default group has rules before it has a tag.
        allow(
            "EmptyDefaultGroup",
            ["ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"],
            [owner.arn("ec2", "security-group/*")],
            condition={**_equals(owner, {}), **untagged},
        ),
        # EKS asks whether who makes a node group could start its instances.
        allow("StartNodes", ["ec2:RunInstances"], ["*"], condition={**_equals(owner, {}), **template}),
        allow("Cluster", ["eks:*"], boundary.cluster_arns(owner)),
    ]


def _shared(owner: Owner, cluster: AwsShared) -> list[Statement]:
    buckets = [f"arn:aws:s3:::{name}" for name in (cluster.buckets.data, cluster.buckets.models)]
    repositories = [owner.arn("ecr", f"repository/{name}") for name in cluster.repositories]
    return [
        # The buckets alone: a bucket's ARN matches no object in it.
        allow("Buckets", MANAGE_BUCKET, buckets),
        allow("Repositories", MANAGE_REPOSITORY, repositories),
        allow("Registry", MANAGE_REGISTRY, ["*"], condition=_equals(owner, {})),
    ]


def _roles(owner: Owner) -> list[Statement]:
    own = [naming.role_arn(owner.account, "*", owner.role_path)]
    linked = {"StringEquals": {"iam:AWSServiceName": [f"{service}.amazonaws.com" for service in SERVICE_LINKED]}}
    return [
        allow("ManageRoles", MANAGE_ROLE, own),
        allow("GrantWithinBoundary", GRANT, own, condition=_within(owner)),
        allow("PassRoles", ["iam:PassRole"], own, condition={"StringEquals": {"iam:PassedToService": list(PASS_TO)}}),
        allow(
            "ServicesOwnRoles",
            ["iam:CreateServiceLinkedRole"],
            [naming.role_arn(owner.account, "*", "/aws-service-role/")],
            condition=linked,
        ),
    ]


def _within(owner: Owner) -> dict[str, Any]:
    return {"StringEquals": {"iam:PermissionsBoundary": owner.boundary_arn}}


def _equals(owner: Owner, conditions: dict[str, str]) -> dict[str, Any]:
    return {"StringEquals": {"aws:RequestedRegion": owner.region, **conditions}}
