"""An EKS cluster: its control plane, who may administer it, and the key that encrypts its secrets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import cloudwatch, eks, iam, kms

from aws import iam_documents
from aws.cidr import SERVICES
from aws.owner import Owner
from components.node_role import NodeRole, NodeRoleArgs
from components.role import role

COMPONENT = "cluster"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
ADMINISTRATOR = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

# https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html and auto-create-node-role.html
AUTO_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
AUTO_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
MANAGED_POLICIES = ("AmazonEKSClusterPolicy",)
MANAGED_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy")
# The first takes any pod; on the second only add-ons that tolerate its taint run.
# https://docs.aws.amazon.com/eks/latest/userguide/set-builtin-node-pools.html
AUTO_NODE_POOLS = ("general-purpose", "system")


@dataclass(frozen=True)
class EksClusterArgs:
    """`cluster`: its name at AWS. `public_cidrs`: who reaches the API from outside the VPC; nobody when empty.

    `administrators`: ARNs of roles. `cached_repositories`: ARN patterns of what nodes may fill ECR's cache with.
    """

    owner: Owner
    cluster: str
    version: str
    compute: Literal["auto", "managed"]
    subnet_ids: Sequence[pulumi.Input[str]]
    public_cidrs: Sequence[str]
    log_days: int
    administrators: Sequence[str]
    cached_repositories: Sequence[str]
    key_deletion_days: int
    protect: bool


class EksCluster(pulumi.ComponentResource):
    """The cluster. `ready` is what must be there before somebody talks to its API."""

    cluster: eks.Cluster
    name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    certificate_authority: pulumi.Output[str]
    node_role: NodeRole
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:EksCluster", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        auto = args.compute == "auto"
        policies = AUTO_NODE_POLICIES if auto else MANAGED_NODE_POLICIES
        self.node_role = NodeRole(
            f"{name}-nodes", NodeRoleArgs(args.owner, policies, args.cached_repositories), self._child
        )
        key = kms.Key(
            f"{name}-secrets",
            description=f"Kubernetes secrets of {args.cluster}",
            enable_key_rotation=True,
            deletion_window_in_days=args.key_deletion_days,
            tags=args.owner.tags(COMPONENT),
            opts=self._kept(),
        )
        # EKS would make this group itself, and keep the logs for ever.
        logs = cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/eks/{args.cluster}/cluster",
            retention_in_days=args.log_days,
            tags=args.owner.tags(COMPONENT),
            opts=self._child,
        )
        service, allowed = self._service_role(name, key)
        self.cluster = eks.Cluster(
            name,
            name=args.cluster,
            role_arn=service.arn,
            version=args.version,
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
            # Auto Mode has its own; where nodes are managed, they are pinned add-ons.
            bootstrap_self_managed_addons=False,
            compute_config={
                "enabled": auto,
                **({"node_pools": list(AUTO_NODE_POOLS), "node_role_arn": self.node_role.arn} if auto else {}),
            },
            storage_config={"block_storage": {"enabled": auto}},
            kubernetes_network_config={"service_ipv4_cidr": SERVICES, "elastic_load_balancing": {"enabled": auto}},
            enabled_cluster_log_types=list(LOGS),
            encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
            vpc_config={
                "subnet_ids": list(args.subnet_ids),
                "endpoint_private_access": True,
                "endpoint_public_access": bool(args.public_cidrs),
                **({"public_access_cidrs": list(args.public_cidrs)} if args.public_cidrs else {}),
            },
            tags=args.owner.tags(COMPONENT),
            # Without its roles' policies EKS could not delete what it made.
            opts=self._kept(depends_on=[logs, *allowed, *self.node_role.ready]),
        )
        self.name = self.cluster.name
        self.endpoint = self.cluster.endpoint
        self.certificate_authority = self.cluster.certificate_authority.apply(lambda authority: authority.data or "")
        self.ready = [self._administrator(name, arn) for arn in args.administrators]
        self.register_outputs({"name": self.name, "endpoint": self.endpoint})

    def _kept(self, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=self._args.protect, depends_on=list(depends_on))

    def _service_role(self, name: str, key: kms.Key) -> tuple[iam.Role, list[pulumi.Resource]]:
        """The role by which EKS acts in the account, and the policies attached to it."""
        made = role(
            f"{name}-control-plane",
            self._args.owner,
            COMPONENT,
            trust=iam_documents.trust("eks.amazonaws.com", session_tags=True),
            description=f"EKS runs {self._args.cluster}",
            opts=self._child,
        )
        allowed: list[pulumi.Resource] = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=made.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
            for policy in (AUTO_POLICIES if self._args.compute == "auto" else MANAGED_POLICIES)
        ]
        actions = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants")
        policy = key.arn.apply(
            lambda arn: iam_documents.document(iam_documents.allow("EncryptSecrets", actions, [arn]))
        )
        allowed.append(iam.RolePolicy(f"{name}-secrets", role=made.name, policy=policy, opts=self._child))
        return made, allowed

    def _administrator(self, name: str, arn: str) -> pulumi.Resource:
        """Everything in the cluster, for one role. Whoever created the cluster has nothing unless listed."""
        short = arn.partition(":role/")[2].replace("/", "-")
        entry = eks.AccessEntry(
            f"{name}-{short}",
            cluster_name=self.cluster.name,
            principal_arn=arn,
            type="STANDARD",
            tags=self._args.owner.tags(COMPONENT),
            opts=self._child,
        )
        association: pulumi.Resource = eks.AccessPolicyAssociation(
            f"{name}-{short}",
            cluster_name=self.cluster.name,
            principal_arn=entry.principal_arn,
            policy_arn=ADMINISTRATOR,
            access_scope={"type": "cluster"},
            opts=self._child,
        )
        return association
