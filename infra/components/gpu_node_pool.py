"""Nodes with NVIDIA GPUs: none until a pod asks for one, and never more than the limit."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from aws import gpu
from aws.owner import Owner
from components.device_plugin import DevicePlugin, DevicePluginArgs
from components.manifest import Manifest
from components.node_group import NodeGroup, NodeGroupArgs
from components.objects import Document

COMPONENT = "gpu"
# Images with CUDA are large, and a data set has to fit beside them.
DISK_GIB = 200


@dataclass(frozen=True)
class KarpenterArgs:
    """Where Auto Mode makes the nodes. `capacity`: kinds that are allowed; Karpenter prefers spot."""

    families: Sequence[str]
    capacity: Sequence[str]
    limit: int


@dataclass(frozen=True)
class GroupArgs:
    """Where node groups do. `plugin_image`: NVIDIA's device plugin."""

    owner: Owner
    cluster: pulumi.Input[str]
    version: str
    node_role_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    capacity: Sequence[str]
    nodes: gpu.Nodes
    plugin_image: pulumi.Input[str]


class GpuNodePool(pulumi.ComponentResource):
    """The pool `gpu`; its nodes have the labels and the taint of the module `gpu`."""

    def __init__(self, name: str, args: KarpenterArgs | GroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:GpuNodePool", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if isinstance(args, KarpenterArgs):
            Manifest(name, node_pool(args), child)
        else:
            for capacity in args.capacity:
                NodeGroup(f"{name}-{capacity}", node_group_args(args, capacity), child)
            DevicePlugin(f"{name}-plugin", DevicePluginArgs(args.plugin_image), child)
        self.register_outputs({})


def node_pool(args: KarpenterArgs) -> Document:
    """Karpenter's NodePool. https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html"""
    requirements = {
        "eks.amazonaws.com/instance-family": list(args.families),
        "karpenter.sh/capacity-type": list(args.capacity),
        "kubernetes.io/arch": ["amd64"],
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": "gpu"},
        "spec": {
            "template": {
                "metadata": {"labels": dict(gpu.LABELS)},
                "spec": {
                    # EKS makes this class with its own pools.
                    "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"},
                    "taints": [{"key": gpu.RESOURCE, "value": "true", "effect": "NoSchedule"}],
                    "requirements": [
                        {"key": key, "operator": "In", "values": values} for key, values in requirements.items()
                    ],
                    # Two weeks, so that nodes get new images; Auto Mode takes 21 days at most.
                    "expireAfter": "336h",
                },
            },
            "limits": {gpu.RESOURCE: str(args.limit)},
            # A node with a job on it is never given up for a cheaper one.
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"},
        },
    }


def node_group_args(args: GroupArgs, capacity: str) -> NodeGroupArgs:
    """A node group of one kind of capacity, which is all that one can have."""
    return NodeGroupArgs(
        owner=args.owner,
        component=COMPONENT,
        cluster=args.cluster,
        version=args.version,
        node_role_arn=args.node_role_arn,
        subnet_ids=args.subnet_ids,
        ami_type="AL2023_x86_64_NVIDIA",
        instance_types=args.nodes.instance_types,
        least=0,
        most=args.nodes.most,
        disk_gib=DISK_GIB,
        capacity="spot" if capacity == "spot" else "on-demand",
        labels=gpu.LABELS,
        taints=[{"key": gpu.RESOURCE, "value": "true", "effect": "NO_SCHEDULE"}],
    )
