"""S3 and ECR are reached without the internet; without a NAT gateway, everything else that nodes call is too."""

import pytest

from aws.owner import Owner
from components.endpoints import ALWAYS, INSTEAD_OF_NAT, Endpoints, EndpointsArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
PREFIX = "com.amazonaws.eu-central-1"


def _args(instead_of_nat: bool) -> EndpointsArgs:
    return EndpointsArgs(OWNER, "vpc-1", "10.20.0.0/16", ["rtb-1", "rtb-2"], ["subnet-1"], instead_of_nat)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    def build() -> None:
        Endpoints("one", _args(False))
        Endpoints("two", _args(True))

    return record(build)


def _services(recorded: Recording, name: str) -> dict[str, str]:
    return {
        item.inputs["serviceName"].removeprefix(f"{PREFIX}."): item.inputs["vpcEndpointType"]
        for item in recorded.of("aws:ec2/vpcEndpoint:VpcEndpoint")
        if item.name.startswith(name)
    }


def test_images_come_from_inside(recorded: Recording) -> None:
    assert _services(recorded, "one") == {"s3": "Gateway", "ecr.api": "Interface", "ecr.dkr": "Interface"}


def test_without_a_nat_gateway_so_does_the_rest(recorded: Recording) -> None:
    services = _services(recorded, "two")
    assert set(services) == {"s3", *ALWAYS, *INSTEAD_OF_NAT}
    # https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
    assert {"ec2", "eks", "eks-auth", "elasticloadbalancing", "logs", "sts"} <= set(services)


def test_the_gateway_is_in_every_route_table(recorded: Recording) -> None:
    inputs = recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "one-s3").inputs
    assert inputs["routeTableIds"] == ["rtb-1", "rtb-2"]


def test_interfaces_answer_by_the_services_own_names_and_to_the_vpc_only(recorded: Recording) -> None:
    inputs = recorded.one("aws:ec2/vpcEndpoint:VpcEndpoint", "one-ecr.dkr").inputs
    assert inputs["privateDnsEnabled"] is True
    assert inputs["subnetIds"] == ["subnet-1"]
    assert inputs["securityGroupIds"] == ["one-id"]
    rule = recorded.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "one").inputs
    assert (rule["cidrIpv4"], rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("10.20.0.0/16", "tcp", 443, 443)


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded)
