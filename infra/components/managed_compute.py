"""What EKS Auto Mode has built in, for clusters without it: add-ons at pinned versions, and nodes for the system."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import eks

from aws.owner import Owner
from components.node_group import NodeGroup, NodeGroupArgs

COMPONENT = "cluster"
POD_IDENTITY = "eks-pod-identity-agent"
# By Kubernetes version, what `aws eks describe-addon-versions --kubernetes-version <version>` has.
ADDONS = {
    "1.34": {
        "coredns": "v1.12.4-eksbuild.1",
        POD_IDENTITY: "v1.3.10-eksbuild.2",
        "kube-proxy": "v1.34.1-eksbuild.2",
        "vpc-cni": "v1.21.1-eksbuild.1",
    },
    "1.35": {
        "coredns": "v1.13.2-eksbuild.1",
        POD_IDENTITY: "v1.3.10-eksbuild.2",
        "kube-proxy": "v1.35.0-eksbuild.2",
        "vpc-cni": "v1.21.1-eksbuild.3",
    },
}
# The engine of network policies is a part of the network's add-on, off unless asked for.
CONFIGURATION = {"vpc-cni": {"enableNetworkPolicy": "true"}}
# A Deployment is healthy once it runs somewhere; the others are what a node needs to become ready.
AFTER_NODES = frozenset({"coredns"})
DISK_GIB = 50


@dataclass(frozen=True)
class ManagedComputeArgs:
    """`least`, `most`: system nodes."""

    owner: Owner
    cluster: pulumi.Input[str]
    version: str
    node_role_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    instance_types: Sequence[str]
    least: int
    most: int


class ManagedCompute(pulumi.ComponentResource):
    """Add-ons and system nodes."""

    def __init__(self, name: str, args: ManagedComputeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ManagedCompute", name, None, opts)
        self._name, self._args = name, args
        first = [self._addon(addon, []) for addon in sorted(ADDONS[args.version]) if addon not in AFTER_NODES]
        nodes = NodeGroup(
            f"{name}-system",
            NodeGroupArgs(
                owner=args.owner,
                component=COMPONENT,
                cluster=args.cluster,
                version=args.version,
                node_role_arn=args.node_role_arn,
                subnet_ids=args.subnet_ids,
                ami_type="AL2023_x86_64_STANDARD",
                instance_types=args.instance_types,
                least=args.least,
                most=args.most,
                disk_gib=DISK_GIB,
            ),
            pulumi.ResourceOptions(parent=self, depends_on=first),
        )
        for addon in sorted(AFTER_NODES):
            self._addon(addon, [nodes])
        self.register_outputs({})

    def _addon(self, addon: str, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        configuration = CONFIGURATION.get(addon)
        made: pulumi.Resource = eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._args.cluster,
            addon_name=addon,
            addon_version=ADDONS[self._args.version][addon],
            configuration_values=json.dumps(configuration) if configuration else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self._args.owner.tags(COMPONENT),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )
        return made
