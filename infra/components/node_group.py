"""A group of nodes that EKS manages, for clusters without Auto Mode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_aws import ec2, eks

from aws.owner import Owner


@dataclass(frozen=True)
class NodeGroupArgs:
    """`ami_type`: EKS's name of an image. `least`, `most`: nodes. `disk_gib`: each node's volume."""

    owner: Owner
    component: str
    cluster: pulumi.Input[str]
    version: str
    node_role_arn: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    ami_type: str
    instance_types: Sequence[str]
    least: int
    most: int
    disk_gib: int
    capacity: Literal["spot", "on-demand"] = "on-demand"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()


class NodeGroup(pulumi.ComponentResource):
    """Nodes with encrypted volumes whose pods cannot reach the instance's credentials."""

    group: eks.NodeGroup

    def __init__(self, name: str, args: NodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:NodeGroup", name, None, opts)
        tags = args.owner.tags(args.component)
        template = ec2.LaunchTemplate(
            name,
            # One hop ends at the node: a pod has to use Pod Identity.
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "delete_on_termination": "true",
                        "encrypted": "true",
                        "volume_size": args.disk_gib,
                        "volume_type": "gp3",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": kind, "tags": args.owner.tags(args.component, name)}
                for kind in ("instance", "volume")
            ],
            update_default_version=True,
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group = eks.NodeGroup(
            name,
            cluster_name=args.cluster,
            node_role_arn=args.node_role_arn,
            subnet_ids=list(args.subnet_ids),
            version=args.version,
            ami_type=args.ami_type,
            capacity_type={"spot": "SPOT", "on-demand": "ON_DEMAND"}[args.capacity],
            instance_types=list(args.instance_types),
            labels=dict(args.labels),
            taints=[dict(taint) for taint in args.taints],
            scaling_config={"min_size": args.least, "max_size": args.most, "desired_size": args.least},
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            node_repair_config={"enabled": True},
            update_config={"max_unavailable": 1},
            tags=tags,
            # How many there are at the moment is the autoscaler's affair.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["scalingConfig.desiredSize"]),
        )
        self.register_outputs({})
