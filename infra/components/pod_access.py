"""What pods may do at AWS: one role for one service account, by EKS Pod Identity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import eks, iam

from aws import iam_documents
from aws.iam_documents import Statement
from aws.owner import Owner
from components.role import role

COMPONENT = "pod-access"


@dataclass(frozen=True)
class PodGrant:
    """What the pods of one service account may do."""

    namespace: str
    service_account: str
    statements: pulumi.Input[Sequence[Statement]]


@dataclass(frozen=True)
class PodAccessArgs:
    """`cluster`: the cluster's name at AWS. `grants`: by what they are for."""

    owner: Owner
    cluster: str
    grants: Mapping[str, PodGrant]


class PodAccess(pulumi.ComponentResource):
    """A role and its association for each grant; no pod needs a key, and no two share a role."""

    def __init__(self, name: str, args: PodAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:PodAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for purpose, grant in args.grants.items():
            made = role(
                f"{name}-{purpose}",
                args.owner,
                COMPONENT,
                trust=trust(args, grant),
                description=f"Pods of {grant.namespace}/{grant.service_account} in {args.cluster}",
                opts=child,
            )
            policy = pulumi.Output.from_input(grant.statements).apply(lambda some: iam_documents.document(*some))
            allowed = iam.RolePolicy(f"{name}-{purpose}", role=made.name, policy=policy, opts=child)
            eks.PodIdentityAssociation(
                f"{name}-{purpose}",
                cluster_name=args.cluster,
                namespace=grant.namespace,
                service_account=grant.service_account,
                role_arn=made.arn,
                tags=args.owner.tags(COMPONENT),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
            )
        self.register_outputs({})


def trust(args: PodAccessArgs, grant: PodGrant) -> str:
    """EKS may assume the role for pods of this account, of this cluster, and for no other.

    The tags are what EKS adds to each request: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    """
    return iam_documents.trust(
        "pods.eks.amazonaws.com",
        session_tags=True,
        equals={
            "aws:RequestTag/eks-cluster-name": args.cluster,
            "aws:RequestTag/kubernetes-namespace": grant.namespace,
            "aws:RequestTag/kubernetes-service-account": grant.service_account,
            "aws:SourceAccount": args.owner.account,
        },
    )
