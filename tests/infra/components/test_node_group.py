"""Nodes with encrypted volumes, whose credentials no pod can fetch."""

from dataclasses import replace

import pytest

from aws.owner import Owner
from components.node_group import NodeGroup, NodeGroupArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
ARGS = NodeGroupArgs(
    owner=OWNER,
    component="cluster",
    cluster="ml-platform-dev",
    version="1.34",
    node_role_arn="arn:role",
    subnet_ids=["subnet-1"],
    ami_type="AL2023_x86_64_STANDARD",
    instance_types=["m7i.large"],
    least=2,
    most=4,
    disk_gib=50,
)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    spot = replace(ARGS, capacity="spot", taints=[{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}])
    return record(lambda: (NodeGroup("one", ARGS), NodeGroup("two", spot)))


def test_only_the_node_itself_reaches_its_credentials(recorded: Recording) -> None:
    template = recorded.one("aws:ec2/launchTemplate:LaunchTemplate", "one").inputs
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpPutResponseHopLimit": 1,
        "httpTokens": "required",
    }


def test_volumes_are_encrypted_and_go_with_the_node(recorded: Recording) -> None:
    (mapping,) = recorded.one("aws:ec2/launchTemplate:LaunchTemplate", "one").inputs["blockDeviceMappings"]
    assert mapping["ebs"] == {
        "deleteOnTermination": "true",
        "encrypted": "true",
        "volumeSize": 50,
        "volumeType": "gp3",
    }


def test_instances_and_volumes_are_tagged_too(recorded: Recording) -> None:
    tagged = recorded.one("aws:ec2/launchTemplate:LaunchTemplate", "one").inputs["tagSpecifications"]
    assert {item["resourceType"] for item in tagged} == {"instance", "volume"}
    assert all(item["tags"].items() >= OWNER.tags("cluster").items() for item in tagged)


def test_the_group_uses_the_template_and_the_settings(recorded: Recording) -> None:
    found = recorded.one("aws:eks/nodeGroup:NodeGroup", "one")
    assert found.inputs["launchTemplate"] == {"id": "one-id", "version": "1"}
    assert found.inputs["scalingConfig"] == {"desiredSize": 2, "maxSize": 4, "minSize": 2}
    assert (found.inputs["capacityType"], found.inputs["version"]) == ("ON_DEMAND", "1.34")
    assert found.ignored == ("scalingConfig.desiredSize",)


def test_spot_and_taints_are_as_given(recorded: Recording) -> None:
    inputs = recorded.one("aws:eks/nodeGroup:NodeGroup", "two").inputs
    assert inputs["capacityType"] == "SPOT"
    assert inputs["taints"] == [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded) == 6
