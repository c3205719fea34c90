"""A VPC for one cluster: private subnets for nodes, public ones for load balancers, and the ways out of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import ec2

from aws.cidr import Subnet
from aws.owner import Owner
from components.endpoints import Endpoints, EndpointsArgs
from components.flow_logs import FlowLogs, FlowLogsArgs

COMPONENT = "network"
EVERYWHERE = "0.0.0.0/0"
# How load balancer controllers find their subnets. https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
PUBLIC = {"kubernetes.io/role/elb": "1"}
PRIVATE = {"kubernetes.io/role/internal-elb": "1"}


@dataclass(frozen=True)
class NetworkArgs:
    """`subnets`: from `cidr.subnets`. `nat`: one gateway, one a zone, or none, with endpoints in its place."""

    owner: Owner
    cidr: str
    subnets: Sequence[Subnet]
    nat: Literal["one", "per-zone", "none"]
    flow_log_days: int


class Network(pulumi.ComponentResource):
    """The VPC and its subnets, with everything that what runs in them needs to reach AWS."""

    vpc_id: pulumi.Output[str]
    private_subnet_ids: list[pulumi.Output[str]]
    public_subnet_ids: list[pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:Network", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.vpc_id = ec2.Vpc(
            name,
            cidr_block=args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,  # or an interface endpoint cannot take a service's own name
            tags=self._tags(name),
            opts=self._child,
        ).id
        # Whoever forgets to name a security group gets this one; it lets nothing in or out.
        ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, ingress=[], egress=[], tags=self._tags(), opts=self._child
        )
        FlowLogs(f"{name}-flow-logs", FlowLogsArgs(args.owner, self.vpc_id, args.flow_log_days), self._child)
        internet = ec2.InternetGateway(f"{name}-internet", vpc_id=self.vpc_id, tags=self._tags(name), opts=self._child)
        public = {subnet.zone: self._subnet("public", subnet.zone, subnet.public, PUBLIC).id for subnet in args.subnets}
        private = {
            subnet.zone: self._subnet("private", subnet.zone, subnet.private, PRIVATE).id for subnet in args.subnets
        }
        table = self._route_table("public")
        ec2.Route(
            f"{name}-public",
            route_table_id=table,
            destination_cidr_block=EVERYWHERE,
            gateway_id=internet.id,
            opts=self._child,
        )
        for zone, subnet_id in public.items():
            self._associate(f"public-{zone}", table, subnet_id)
        tables = {zone: self._private_routes(zone, subnet_id) for zone, subnet_id in private.items()}
        self._ways_out(public, tables, internet)
        endpoints_args = EndpointsArgs(
            owner=args.owner,
            vpc_id=self.vpc_id,
            cidr=args.cidr,
            route_table_ids=[table, *tables.values()],
            subnet_ids=list(private.values()),
            instead_of_nat=args.nat == "none",
        )
        Endpoints(f"{name}-endpoints", endpoints_args, self._child)
        self.public_subnet_ids, self.private_subnet_ids = list(public.values()), list(private.values())
        self.register_outputs({"vpc_id": self.vpc_id, "private_subnet_ids": self.private_subnet_ids})

    def _tags(self, shown_as: str = "") -> dict[str, str]:
        return self._args.owner.tags(COMPONENT, shown_as)

    def _subnet(self, kind: str, zone: str, block: str, role_tag: dict[str, str]) -> ec2.Subnet:
        return ec2.Subnet(
            f"{self._name}-{kind}-{zone}",
            vpc_id=self.vpc_id,
            cidr_block=block,
            availability_zone=zone,
            map_public_ip_on_launch=False,
            tags={**self._tags(f"{self._name}-{kind}-{zone}"), **role_tag},
            opts=self._child,
        )

    def _route_table(self, kind: str) -> pulumi.Output[str]:
        name = f"{self._name}-{kind}"
        table = ec2.RouteTable(name, vpc_id=self.vpc_id, tags=self._tags(name), opts=self._child)
        table_id: pulumi.Output[str] = table.id
        return table_id

    def _associate(self, kind: str, table: pulumi.Output[str], subnet_id: pulumi.Output[str]) -> None:
        ec2.RouteTableAssociation(f"{self._name}-{kind}", route_table_id=table, subnet_id=subnet_id, opts=self._child)

    def _private_routes(self, zone: str, subnet_id: pulumi.Output[str]) -> pulumi.Output[str]:
        """A table a zone even where they are alike, so that another NAT strategy changes routes only."""
        table = self._route_table(f"private-{zone}")
        self._associate(f"private-{zone}", table, subnet_id)
        return table

    def _ways_out(
        self,
        public: dict[str, pulumi.Output[str]],
        tables: dict[str, pulumi.Output[str]],
        internet: ec2.InternetGateway,
    ) -> None:
        """Each private subnet's route to the internet: through its own zone's gateway, or through the only one."""
        zones = list(public)
        gateways = {
            zone: self._nat_gateway(zone, public[zone], internet)
            for zone in {"one": zones[:1], "per-zone": zones, "none": []}[self._args.nat]
        }
        for zone, table in tables.items() if gateways else ():
            ec2.Route(
                f"{self._name}-private-{zone}",
                route_table_id=table,
                destination_cidr_block=EVERYWHERE,
                nat_gateway_id=gateways.get(zone, gateways[zones[0]]),
                opts=self._child,
            )

    def _nat_gateway(
        self, zone: str, subnet_id: pulumi.Output[str], internet: ec2.InternetGateway
    ) -> pulumi.Output[str]:
        name = f"{self._name}-nat-{zone}"
        after_internet = pulumi.ResourceOptions(parent=self, depends_on=[internet])
        address = ec2.Eip(name, domain="vpc", tags=self._tags(name), opts=after_internet)
        gateway = ec2.NatGateway(
            name, allocation_id=address.id, subnet_id=subnet_id, tags=self._tags(name), opts=after_internet
        )
        gateway_id: pulumi.Output[str] = gateway.id
        return gateway_id
