"""The role that a cluster's nodes run under: join the cluster, and pull images."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from aws import iam_documents
from aws.owner import Owner
from components.role import role


@dataclass(frozen=True)
class NodeRoleArgs:
    """`policies`: names of AWS's own policies. `cached`: ARN patterns of the repositories that a first pull makes."""

    owner: Owner
    policies: Sequence[str]
    cached: Sequence[str]


class NodeRole(pulumi.ComponentResource):
    """A role for EC2. `ready` is what must be there before a node uses it."""

    arn: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: NodeRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:NodeRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = role(
            name,
            args.owner,
            "nodes",
            trust=iam_documents.trust("ec2.amazonaws.com"),
            description="Kubernetes nodes join the cluster and pull images",
            opts=child,
        )
        self.ready = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}", role=made.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=child
            )
            for policy in args.policies
        ]
        if args.cached:
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
            actions = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
            policy = iam_documents.document(iam_documents.allow("FillImageCache", actions, args.cached))
            self.ready.append(iam.RolePolicy(f"{name}-image-cache", role=made.name, policy=policy, opts=child))
        self.arn = made.arn
        self.register_outputs({"arn": self.arn})
