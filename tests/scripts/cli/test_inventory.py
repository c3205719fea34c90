"""What is left of an environment is found, by tags and where tags are not listed; what only seems to be left is not."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cli import inventory
from cli.failure import Failure

REGION = "eu-central-1"
TAGS = [{"Key": "Environment", "Value": "dev"}]


@pytest.fixture
def client() -> Iterator[Any]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.Session("emulator", "emulator", region_name=REGION)
    url = f"http://{host}:{port}"
    yield lambda service: session.client(service, endpoint_url=url)
    server.stop()


def test_an_empty_account_has_nothing_left(client: Any) -> None:
    assert inventory.leftovers("empty", client) == []


def test_everything_of_the_environment_is_listed_and_nothing_of_another(client: Any) -> None:
    ec2, iam, ecr, logs = (client(name) for name in ("ec2", "iam", "ecr", "logs"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=TAGS)
    other = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[other], Tags=[{"Key": "Environment", "Value": "prod"}])
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    owned = [{"Key": "kubernetes.io/cluster/ml-platform-dev", "Value": "owned"}]
    ec2.create_tags(Resources=[volume], Tags=owned)
    iam.create_role(RoleName="flow-logs", Path="/ml-platform/dev/", AssumeRolePolicyDocument="{}")
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument="{}")
    ecr.create_repository(repositoryName="classifier", tags=TAGS)
    logs.create_log_group(logGroupName="/aws/eks/ml-platform-dev/cluster")
    client("eks").create_cluster(
        name="ml-platform-dev", roleArn="arn:aws:iam::123456789012:role/x", resourcesVpcConfig={}
    )

    found = inventory.leftovers("dev", client)
    assert {arn.split(":", 5)[2] + " " + arn.split(":", 5)[5].partition("/")[0] for arn in found} == {
        "ec2 vpc",
        "ec2 volume",
        "iam role",
        "ecr repository",
        "logs log-group:",
        "eks cluster",
    }
    assert not [arn for arn in found if other in arn or arn.endswith("role/deploy")]


def test_what_is_only_still_shown_does_not_count(client: Any) -> None:
    ec2, kms = client("ec2"), client("kms")
    key = kms.create_key(Tags=[{"TagKey": "Environment", "TagValue": "gone"}])["KeyMetadata"]["KeyId"]
    assert len(inventory.leftovers("gone", client)) == 1
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    vpc = ec2.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.2.0.0/24")["Subnet"]["SubnetId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Environment", "Value": "gone"}]}]
    started = ec2.run_instances(ImageId=image, SubnetId=subnet, MinCount=1, MaxCount=1, TagSpecifications=tags)
    ec2.terminate_instances(InstanceIds=[started["Instances"][0]["InstanceId"]])
    assert inventory.leftovers("gone", client) == []


def test_a_list_that_cannot_be_had_is_no_empty_list(client: Any) -> None:
    nobody = boto3.Session("x", "x", region_name=REGION)

    def refused(service: str) -> Any:
        return nobody.client(service, endpoint_url="http://127.0.0.1:9")

    with pytest.raises(Failure, match="what is left of dev cannot be listed"):
        inventory.leftovers("dev", refused)
