"""Private subnets have the ways out that the settings say, and nothing in the VPC is open by default."""

from typing import Literal

import pytest

from aws import cidr
from aws.owner import Owner
from components.network import Network, NetworkArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
CIDR = "10.20.0.0/16"
ZONES = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
Nat = Literal["one", "per-zone", "none"]


def build(nat: Nat, zones: list[str] = ZONES, name: str = "net") -> Network:
    return Network(name, NetworkArgs(OWNER, CIDR, cidr.subnets(CIDR, zones), nat, 14))


@pytest.fixture(scope="module", params=["one", "per-zone", "none"])
def recorded(request: pytest.FixtureRequest) -> Recording:
    return record(lambda: build(request.param))


def nat_routes(recorded: Recording) -> dict[str, str]:
    """The gateway of each private subnet's zone."""
    return {
        item.name.removeprefix("net-private-"): item.inputs["natGatewayId"].removeprefix("net-nat-").removesuffix("-id")
        for item in recorded.of("aws:ec2/route:Route")
        if "natGatewayId" in item.inputs
    }


def test_each_zone_has_a_private_and_a_public_subnet(recorded: Recording) -> None:
    for subnet in cidr.subnets(CIDR, ZONES):
        for kind, block, tag in (
            ("public", subnet.public, "kubernetes.io/role/elb"),
            ("private", subnet.private, "kubernetes.io/role/internal-elb"),
        ):
            inputs = recorded.one("aws:ec2/subnet:Subnet", f"net-{kind}-{subnet.zone}").inputs
            assert (inputs["cidrBlock"], inputs["availabilityZone"]) == (block, subnet.zone)
            assert [key for key in inputs["tags"] if key.startswith("kubernetes.io/")] == [tag]
            assert inputs["mapPublicIpOnLaunch"] is False


def test_each_subnet_has_its_routes(recorded: Recording) -> None:
    associated = {
        item.inputs["subnetId"]: item.inputs["routeTableId"]
        for item in recorded.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    }
    assert associated == {
        **{f"net-public-{zone}-id": "net-public-id" for zone in ZONES},
        **{f"net-private-{zone}-id": f"net-private-{zone}-id" for zone in ZONES},
    }
    assert recorded.one("aws:ec2/route:Route", "net-public").inputs["gatewayId"] == "net-internet-id"


def test_one_gateway_serves_every_zone() -> None:
    assert nat_routes(record(lambda: build("one"))) == dict.fromkeys(ZONES, ZONES[0])


def test_a_gateway_a_zone_serves_its_own() -> None:
    recorded = record(lambda: build("per-zone"))
    assert nat_routes(recorded) == {zone: zone for zone in ZONES}
    for zone in ZONES:
        gateway = recorded.one("aws:ec2/natGateway:NatGateway", f"net-nat-{zone}").inputs
        assert (gateway["subnetId"], gateway["allocationId"]) == (f"net-public-{zone}-id", f"net-nat-{zone}-id")


def test_no_gateway_means_no_way_out_but_endpoints() -> None:
    recorded = record(lambda: build("none"))
    assert nat_routes(recorded) == {}
    assert not recorded.of("aws:ec2/natGateway:NatGateway")
    assert not recorded.of("aws:ec2/eip:Eip")
    assert recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "net-endpoints-sts")


def test_another_nat_strategy_renames_nothing() -> None:
    one, each = record(lambda: build("one")), record(lambda: build("per-zone"))
    assert set(one.urns()) < set(each.urns())


def test_a_zone_added_at_the_end_changes_no_other() -> None:
    two, three = record(lambda: build("one", ZONES[:2])), record(lambda: build("one"))
    for item in two.of("aws:ec2/subnet:Subnet"):
        assert three.one(item.type, item.name).inputs == item.inputs


def test_the_default_group_lets_nothing_in_or_out(recorded: Recording) -> None:
    inputs = recorded.one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "net-default").inputs
    assert (inputs["ingress"], inputs["egress"]) == ([], [])


def test_services_names_resolve_inside(recorded: Recording) -> None:
    inputs = recorded.one("aws:ec2/vpc:Vpc", "net").inputs
    assert (inputs["cidrBlock"], inputs["enableDnsSupport"], inputs["enableDnsHostnames"]) == (CIDR, True, True)


def test_its_traffic_is_logged(recorded: Recording) -> None:
    assert recorded.one("aws:ec2/flowLog:FlowLog", "net-flow-logs").inputs["vpcId"] == "net-id"


def test_two_instances_share_no_name() -> None:
    recorded = record(lambda: (build("per-zone"), build("per-zone", name="other")))
    assert len(set(recorded.urns())) == len(recorded)
