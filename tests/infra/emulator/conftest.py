"""One emulator for the tests of its own behaviour; each test cleans up or uses names of its own."""

import json
import uuid
from collections.abc import Iterator

import pytest

from emulator.process import Emulator, emulator


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator whose clusters have no API servers."""
    with emulator(tmp_path_factory.mktemp("emulator"), "--no-api-servers", "--seconds=0.3") as found:
        yield found


@pytest.fixture
def role(aws: Emulator) -> str:
    """The ARN of a role."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    made = aws.client("iam").create_role(RoleName=f"role-{uuid.uuid4()}", AssumeRolePolicyDocument=policy)
    return str(made["Role"]["Arn"])


@pytest.fixture
def subnets(aws: Emulator) -> list[str]:
    """Two subnets of a new VPC, in two zones."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-central-1{zone}")
        for number, zone in enumerate("ab")
    ]
    return [str(one["Subnet"]["SubnetId"]) for one in made]
