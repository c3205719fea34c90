"""What AWS refuses about networks in use, and what is in an account that nobody used."""

from pathlib import Path

import pytest

from emulator.inventory import inventory, left_over
from emulator.process import Emulator, emulator


def test_parts_of_a_network_go_in_their_order(aws: Emulator, subnets: list[str]) -> None:
    ec2 = aws.client("ec2")
    before = inventory(aws)
    vpc = ec2.describe_subnets(SubnetIds=subnets)["Subnets"][0]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address)["NatGateway"]["NatGatewayId"]
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]

    def refused(operation: str, **names: str) -> None:
        with pytest.raises(ec2.exceptions.ClientError, match="DependencyViolation"):
            getattr(ec2, operation)(**names)

    refused("delete_subnet", SubnetId=subnets[0])
    refused("detach_internet_gateway", InternetGatewayId=gateway, VpcId=vpc)
    refused("release_address", AllocationId=address)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=address)
    for subnet in subnets:
        ec2.delete_subnet(SubnetId=subnet)
    refused("delete_vpc", VpcId=vpc)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    refused("delete_vpc", VpcId=vpc)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)
    assert left_over(aws, before) == {}


def test_new_account_is_empty(tmp_path: Path) -> None:
    with emulator(tmp_path, "--no-api-servers") as fresh:
        assert inventory(fresh) == {}
        fresh.client("s3").create_bucket(
            Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        assert inventory(fresh) == {"s3 bucket": {"bucket"}}
