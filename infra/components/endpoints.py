"""The ways from a VPC to AWS's own services that do not pass the internet."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from aws.owner import Owner

COMPONENT = "network"
# Images come from ECR, and their layers from S3.
ALWAYS = ("ecr.api", "ecr.dkr")
# What nodes and pods call besides. The first pull of an image that ECR does not have yet, and a forge on the internet,
# need a NAT gateway nevertheless. https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
INSTEAD_OF_NAT = (
    "autoscaling",
    "ec2",
    "eks",
    "eks-auth",
    "elasticloadbalancing",
    "kms",
    "logs",
    "secretsmanager",
    "sts",
)


@dataclass(frozen=True)
class EndpointsArgs:
    """`instead_of_nat`: whether there is no other way out. `cidr`: the VPC's, whose addresses may use the endpoints."""

    owner: Owner
    vpc_id: pulumi.Input[str]
    cidr: str
    route_table_ids: Sequence[pulumi.Input[str]]
    subnet_ids: Sequence[pulumi.Input[str]]
    instead_of_nat: bool


class Endpoints(pulumi.ComponentResource):
    """A gateway endpoint for S3, which costs nothing, and interface endpoints for the others."""

    def __init__(self, name: str, args: EndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:Endpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        prefix = f"com.amazonaws.{args.owner.region}"
        ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=args.vpc_id,
            service_name=f"{prefix}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(args.route_table_ids),
            tags=args.owner.tags(COMPONENT, f"{name}-s3"),
            opts=child,
        )
        group = ec2.SecurityGroup(
            name,
            vpc_id=args.vpc_id,
            description="HTTPS from the VPC to the endpoints of AWS services",
            tags=args.owner.tags(COMPONENT, name),
            opts=child,
        )
        rule = vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=args.cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            tags=args.owner.tags(COMPONENT),
            opts=child,
        )
        for service in (*ALWAYS, *(INSTEAD_OF_NAT if args.instead_of_nat else ())):
            ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=args.vpc_id,
                service_name=f"{prefix}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                security_group_ids=[group.id],
                subnet_ids=list(args.subnet_ids),
                tags=args.owner.tags(COMPONENT, f"{name}-{service}"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[rule]),
            )
        self.register_outputs({})
