"""The most that any role of one stack may do, whatever its own policies say.

A deploy role may make roles, give them policies and say who may assume them, but only within its stack's boundary. So
whatever it makes is kept from other stacks by what is allowed here and for what, not by who made it: a stack's roles
reach its own cluster, by name and tag, and of what all share exactly what `aws/grants.py` gives to pods. Nothing here
changes who may do what. A grant that pods come to need is in the boundary once the account's bootstrap was applied.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aws import grants, iam_documents, naming, pull_through
from aws.iam_documents import Statement, allow
from aws.owner import Owner
from bootstrap.state import State
from settings import AwsShared, AwsStage

# What nodes, Karpenter, load balancers and autoscalers work with; things of other stacks are kept out by their tags.
COMPUTE = ("autoscaling:*", "ec2:*", "elasticloadbalancing:*")
# What AWS's own policies for EKS look up and attach. https://docs.aws.amazon.com/eks/latest/userguide/security-iam-awsmanpol.html
LOOK_UP = (
    "acm:DescribeCertificate",
    "acm:ListCertificates",
    "cognito-idp:DescribeUserPoolClient",
    "ecr:GetAuthorizationToken",
    "iam:CreateServiceLinkedRole",
    "iam:Get*",
    "iam:List*",
    "pricing:GetProducts",
    "shield:*Protection",
    "shield:GetSubscriptionState",
    "tag:GetResources",
    "waf-regional:*WebACL*",
    "wafv2:*WebACL*",
)
LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLog*", "logs:PutLogEvents")
USE_KEY = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ListGrants")
# As EC2 does for encrypted volumes. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html
KEY_OF_VOLUMES = (*USE_KEY, "kms:CreateGrant", "kms:ReEncrypt*")
FILL_CACHE = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
CREATE_REPOSITORIES = ("ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource")
OWNER_TAG = "aws:ResourceTag/Environment"
# The tags by which what EKS, its nodes and its controllers make themselves says whose it is.
CLUSTER_TAGS = (
    "aws:eks:cluster-name",
    "cluster.k8s.amazonaws.com/name",
    "eks:cluster-name",
    "eks:eks-cluster-name",
    "elbv2.k8s.aws/cluster",
)


def policy(cluster: AwsStage | AwsShared, shared: AwsShared, state: State) -> str:
    """The boundary of one stack's roles. `state` is out of reach for all of them."""
    if isinstance(cluster, AwsShared):
        return iam_documents.document(*_of_shared(cluster))
    owner = Owner(cluster.name, cluster.account, cluster.region)
    return iam_documents.document(
        *_of_stage(owner, [owner.name], shared), *_not_others(owner, shared), *_no_state(state)
    )


def account_policy(clusters: Sequence[AwsStage | AwsShared], shared: AwsShared, state: State) -> str:
    """The boundary of roles from before each stack had its own: what the roles of all the account's stacks need.

    No deploy role may give it to a role any more, and a stack that is applied gives its roles its own instead.
    """
    stages = [one.name for one in clusters if isinstance(one, AwsStage)]
    return iam_documents.document(
        *(_of_shared(shared) if shared in clusters else []),
        *(_of_stage(Owner("*", clusters[0].account, clusters[0].region), stages, shared) if stages else []),
        *_no_state(state),
    )


def _of_shared(shared: AwsShared) -> list[Statement]:
    cached = pull_through.cached_repositories(shared.account, shared.region, shared.pull_through)
    # Without caches the stack makes no role; no document may be empty.
    return [allow("CreateCaches", CREATE_REPOSITORIES, cached or ["arn:aws:ecr:::repository/none"])]


def _of_stage(owner: Owner, tagged: Sequence[str], shared: AwsShared) -> list[Statement]:
    """What the roles of a stage need. `tagged`: the stacks whose keys they use."""
    cached = pull_through.cached_repositories(shared.account, shared.region, shared.pull_through)
    data, models = (f"arn:aws:s3:::{name}" for name in (shared.buckets.data, shared.buckets.models))
    own = {"StringEquals": {OWNER_TAG: list(tagged)}}
    by_ec2 = {"StringEquals": {"kms:ViaService": f"ec2.{owner.region}.amazonaws.com"}}
    in_cluster = ("eks-auth:AssumeRoleForPodIdentity", "eks:Describe*", "eks:List*")
    return [
        allow("Compute", COMPUTE, ["*"]),
        allow("LookUp", LOOK_UP, ["*"]),
        allow("Logs", LOGS, ["*"]),
        allow("PullImages", grants.PULL, ["*"]),  # those of EKS's own add-ons are in accounts of AWS
        *([allow("FillCaches", FILL_CACHE, cached)] if cached else []),
        allow("Images", ["ssm:GetParameter*"], ["arn:aws:ssm:*::parameter/aws/service/*"]),  # which AWS publishes
        allow("Keys", USE_KEY, ["*"], condition=own),
        allow("KeysOfVolumes", KEY_OF_VOLUMES, ["*"], condition=by_ec2),
        allow("Cluster", in_cluster, cluster_arns(owner)),
        # EKS makes instance profiles of a node's role.
        allow("Profiles", ["iam:*InstanceProfile*"], [f"arn:aws:iam::{owner.account}:instance-profile/*"]),
        allow("PassRoles", ["iam:PassRole"], [naming.role_arn(owner.account, "*", owner.role_path)]),
        *grants.all_runners(data, models),
        *grants.serving(models),
        *grants.external_secrets(owner, naming.cluster(owner.name)),
    ]


def cluster_arns(owner: Owner) -> list[str]:
    """The ARNs of a stage's cluster and of what is in it."""
    name = naming.cluster(owner.name)
    parts = ("access-entry", "addon", "nodegroup", "podidentityassociation")
    return [owner.arn("eks", f"cluster/{name}"), *(owner.arn("eks", f"{part}/{name}/*") for part in parts)]


def _not_others(owner: Owner, shared: AwsShared) -> list[Statement]:
    """Nothing at all with what another stack owns. What all share is no other's: what of it is allowed is listed."""
    tags = {OWNER_TAG: [owner.name, shared.name]}
    tags |= {f"aws:ResourceTag/{tag}": [naming.cluster(owner.name)] for tag in CLUSTER_TAGS}
    return [
        # What has no such tag is unequal too.
        _deny(f"NotOfOthers{number}", ["*"], condition={"StringNotEquals": {key: own}, "Null": {key: "false"}})
        for number, (key, own) in enumerate(tags.items())
    ]


def _no_state(state: State) -> list[Statement]:
    through_key = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": naming.state_key_alias()}}
    return [
        _deny("NoState", ["s3:*"], [state.arn, f"{state.arn}/*"]),
        _deny("NoStateKey", ["kms:*"], condition=through_key),
    ]


def _deny(
    sid: str, actions: Sequence[str], resources: Sequence[str] = ("*",), *, condition: Mapping[str, Any] | None = None
) -> Statement:
    return {**allow(sid, actions, resources, condition=condition), "Effect": "Deny"}
