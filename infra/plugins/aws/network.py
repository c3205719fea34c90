"""EC2's networks: VPC, subnets, gateways, addresses, route tables."""

import zlib
from collections.abc import Iterator
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, Wait, absent, steps
from plugins.aws.fields import ABSENT, Field, dig, pascal
from plugins.aws.row import Type
from plugins.aws.tagging import ec2

TARGETS = ("gatewayId", "natGatewayId", "vpcPeeringConnectionId", "transitGatewayId", "vpcEndpointId")


def searched(operation: str, path: str, **filters: str) -> Any:
    """A search among things that have no name: by the given filters, and by all tags of the inputs."""

    def search(thing: Thing) -> Iterator[str]:
        by = {name.replace("_", "-"): thing.fill(value) for name, value in filters.items()}
        by |= {f"tag:{key}": value for key, value in (thing.inputs.get("tags") or {}).items()}
        items, _, identifier = path.partition(".*.")
        # The two calls of this kind that do not filter as all others do.
        key = "Filter" if operation in {"describe_nat_gateways", "describe_flow_logs"} else "Filters"
        given = {key: [{"Name": name, "Values": [value]} for name, value in by.items()]}
        if operation == "describe_addresses":  # has no pages
            found = thing.call(operation, **given)[items]
        else:
            found = thing.pages(operation, items, **given)
        for item in found:
            yield item[identifier]

    return search


def _dns(thing: Thing) -> dict[str, Any]:
    """A VPC's attributes, each of which has a call of its own."""
    found: dict[str, Any] = {}
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        found |= thing.call("describe_vpc_attribute", VpcId=thing.id, Attribute=attribute)
    return {name: value for name, value in found.items() if name.startswith("EnableDns")}


def _dns_changed(name: str) -> Change:
    return Change((name,), Call("modify_vpc_attribute", body=(name,), VpcId="{id}"))


def _switch(name: str, default: bool) -> Field:
    member = name[:1].upper() + name[1:] + ".Value"
    return pascal(name, member, later=True, default=default)


def _attach(thing: Thing) -> None:
    attached = dig(thing.live, "Attachments.0.VpcId")
    if attached is not ABSENT and attached != thing.inputs.get("vpcId"):
        thing.call("detach_internet_gateway", InternetGatewayId=thing.id, VpcId=attached)
    if attached != thing.inputs.get("vpcId"):
        Call("attach_internet_gateway", body=("vpcId",), InternetGatewayId="{id}")(thing)


def _detach(thing: Thing) -> None:
    for attachment in Describe("describe_internet_gateways", "InternetGateways.0", InternetGatewayIds=["{id}"])(thing)[
        "Attachments"
    ]:
        thing.call("detach_internet_gateway", InternetGatewayId=thing.id, VpcId=attachment["VpcId"])


def _route(thing: Thing) -> dict[str, Any]:
    table = Describe("describe_route_tables", "RouteTables.0", RouteTableIds=["{routeTableId}"])(thing)
    for route in table["Routes"]:
        if route.get("DestinationCidrBlock") == thing.inputs.get("destinationCidrBlock"):
            return {**route, "RouteTableId": table["RouteTableId"]}
    raise absent(thing)


def route_identifier(thing: Thing) -> str:
    """A route has no identifier of its own; this is the one that the official provider makes up."""
    return f"r-{thing.inputs['routeTableId']}{zlib.crc32(thing.inputs['destinationCidrBlock'].encode())}"


def _create_route(thing: Thing) -> dict[str, Any]:
    return {**Call("create_route", body=True)(thing), "Id": route_identifier(thing)}


def _replace_route(thing: Thing) -> None:
    Call("replace_route", body=("routeTableId", "destinationCidrBlock", *TARGETS))(thing)


def _association(thing: Thing) -> dict[str, Any]:
    by = [{"Name": "association.route-table-association-id", "Values": [thing.id]}]
    for table in thing.call("describe_route_tables", Filters=by)["RouteTables"]:
        for association in table["Associations"]:
            if association["RouteTableAssociationId"] == thing.id:
                return dict(association)
    raise absent(thing)


def _associations(thing: Thing) -> Iterator[str]:
    by = [{"Name": "association.subnet-id", "Values": [thing.inputs["subnetId"]]}]
    for table in thing.call("describe_route_tables", Filters=by)["RouteTables"]:
        for association in table["Associations"]:
            if association.get("SubnetId") == thing.inputs["subnetId"]:
                yield association["RouteTableAssociationId"]


def _arn(kind: str, identifier: str = "{id}") -> str:
    return f"arn:{{partition}}:ec2:{{region}}:{{account}}:{kind}/{identifier}"


TYPES = (
    Type(
        "aws:ec2/vpc:Vpc",
        "ec2",
        (
            pascal("cidrBlock", fixed=True, required=True),
            pascal("instanceTenancy", fixed=True, default="default"),
            _switch("enableDnsSupport", default=True),
            _switch("enableDnsHostnames", default=False),
        ),
        create=Call("create_vpc", body=True),
        identifier="Vpc.VpcId",
        read=(Describe("describe_vpcs", "Vpcs.0", VpcIds=["{id}"]), _dns),
        changes=(_dns_changed("enableDnsSupport"), _dns_changed("enableDnsHostnames")),
        delete=Call("delete_vpc", VpcId="{id}"),
        outputs={"arn": _arn("vpc"), "dhcpOptionsId": "DhcpOptionsId", "ownerId": "OwnerId"},
        tagging=ec2("vpc"),
        wait=Wait("State", ready=("available",), pending=("pending",)),
        search=searched("describe_vpcs", "Vpcs.*.VpcId", cidr="{cidrBlock}"),
    ),
    Type(
        "aws:ec2/subnet:Subnet",
        "ec2",
        (
            pascal("vpcId", fixed=True, required=True),
            pascal("cidrBlock", fixed=True, required=True),
            pascal("availabilityZone", fixed=True),
            pascal(
                "mapPublicIpOnLaunch",
                "MapPublicIpOnLaunch.Value",
                live="MapPublicIpOnLaunch",
                later=True,
                default=False,
            ),
        ),
        create=Call("create_subnet", body=True),
        identifier="Subnet.SubnetId",
        created="Subnet",
        read=(Describe("describe_subnets", "Subnets.0", SubnetIds=["{id}"]),),
        changes=(
            Change(
                ("mapPublicIpOnLaunch",),
                Call("modify_subnet_attribute", body=("mapPublicIpOnLaunch",), SubnetId="{id}"),
            ),
        ),
        delete=Call("delete_subnet", SubnetId="{id}"),
        outputs={"arn": "SubnetArn", "availabilityZoneId": "AvailabilityZoneId", "ownerId": "OwnerId"},
        tagging=ec2("subnet"),
        unique=("vpcId", "cidrBlock"),
        search=searched("describe_subnets", "Subnets.*.SubnetId", vpc_id="{vpcId}", cidr_block="{cidrBlock}"),
    ),
    Type(
        "aws:ec2/internetGateway:InternetGateway",
        "ec2",
        (pascal("vpcId", live="Attachments.0.VpcId", later=True),),
        create=Call("create_internet_gateway", body=True),
        identifier="InternetGateway.InternetGatewayId",
        created="InternetGateway",
        read=(Describe("describe_internet_gateways", "InternetGateways.0", InternetGatewayIds=["{id}"]),),
        changes=(Change(("vpcId",), _attach, unset=_detach),),
        delete=steps(_detach, Call("delete_internet_gateway", InternetGatewayId="{id}")),
        outputs={"arn": _arn("internet-gateway"), "ownerId": "OwnerId"},
        tagging=ec2("internet-gateway"),
        search=searched("describe_internet_gateways", "InternetGateways.*.InternetGatewayId"),
    ),
    Type(
        "aws:ec2/eip:Eip",
        "ec2",
        (pascal("domain", fixed=True, default="vpc"),),
        create=Call("allocate_address", body=True),
        identifier="AllocationId",
        read=(Describe("describe_addresses", "Addresses.0", AllocationIds=["{id}"]),),
        delete=Call("release_address", AllocationId="{id}"),
        outputs={"allocationId": "AllocationId", "arn": _arn("elastic-ip"), "publicIp": "PublicIp"},
        tagging=ec2("elastic-ip"),
        search=searched("describe_addresses", "Addresses.*.AllocationId"),
    ),
    Type(
        "aws:ec2/natGateway:NatGateway",
        "ec2",
        (
            pascal("subnetId", fixed=True, required=True),
            pascal("allocationId", live="NatGatewayAddresses.0.AllocationId", fixed=True),
            pascal("connectivityType", fixed=True, default="public"),
        ),
        create=Call("create_nat_gateway", body=True),
        identifier="NatGateway.NatGatewayId",
        created="NatGateway",
        read=(Describe("describe_nat_gateways", "NatGateways.0", NatGatewayIds=["{id}"]),),
        delete=Call("delete_nat_gateway", NatGatewayId="{id}"),
        outputs={"publicIp": "NatGatewayAddresses.0.PublicIp", "privateIp": "NatGatewayAddresses.0.PrivateIp"},
        tagging=ec2("natgateway"),
        wait=Wait(
            "State",
            ready=("available",),
            pending=("pending",),
            gone=("deleted",),
            lingers=True,
            reason="FailureMessage",
        ),
        unique=("allocationId",),
        search=searched("describe_nat_gateways", "NatGateways.*.NatGatewayId", subnet_id="{subnetId}"),
        patience=600,
    ),
    Type(
        "aws:ec2/routeTable:RouteTable",
        "ec2",
        (pascal("vpcId", fixed=True, required=True),),
        create=Call("create_route_table", body=True),
        identifier="RouteTable.RouteTableId",
        created="RouteTable",
        read=(Describe("describe_route_tables", "RouteTables.0", RouteTableIds=["{id}"]),),
        delete=Call("delete_route_table", RouteTableId="{id}"),
        outputs={"arn": _arn("route-table"), "ownerId": "OwnerId"},
        tagging=ec2("route-table"),
        search=searched("describe_route_tables", "RouteTables.*.RouteTableId", vpc_id="{vpcId}"),
    ),
    Type(
        "aws:ec2/route:Route",
        "ec2",
        (
            pascal("routeTableId", fixed=True, required=True),
            pascal("destinationCidrBlock", fixed=True, required=True),
            *(pascal(name) for name in TARGETS),
        ),
        create=_create_route,
        identifier="Id",
        created="",
        read=(_route,),
        changes=(Change(TARGETS, _replace_route),),
        delete=Call("delete_route", body=("routeTableId", "destinationCidrBlock")),
        unique=("routeTableId", "destinationCidrBlock"),
        search=lambda thing: [route_identifier(thing)],
    ),
    Type(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "ec2",
        # The API can exchange the table, but that makes another association.
        (pascal("routeTableId", fixed=True, required=True), pascal("subnetId", fixed=True, required=True)),
        create=Call("associate_route_table", body=True),
        identifier="AssociationId",
        created="",
        read=(_association,),
        delete=Call("disassociate_route_table", AssociationId="{id}"),
        unique=("subnetId",),
        search=_associations,
    ),
)
