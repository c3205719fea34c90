"""Add-ons are pinned, and come in the order in which nodes need them."""

import json
import re
from typing import get_args

import pytest

from aws.owner import Owner
from components.managed_compute import ADDONS, ManagedCompute, ManagedComputeArgs
from recording import Recording, record
from settings.aws import EksSettings

OWNER = Owner("dev", "123456789012", "eu-central-1")
ARGS = ManagedComputeArgs(OWNER, "ml-platform-dev", "1.34", "arn:role", ["subnet-1"], ["m7i.large"], 2, 4)
ADDON = "aws:eks/addon:Addon"


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: (ManagedCompute("one", ARGS), ManagedCompute("two", ARGS)))


def test_every_version_that_the_settings_accept_has_its_addons() -> None:
    assert set(ADDONS) == set(get_args(EksSettings.model_fields["version"].annotation))
    for version, addons in ADDONS.items():
        assert set(addons) == {"coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"}
        assert addons["kube-proxy"].startswith(f"v{version}.")
        assert all(re.fullmatch(r"v\d+\.\d+\.\d+-eksbuild\.\d+", value) for value in addons.values())


def test_addons_have_the_versions_of_the_cluster(recorded: Recording) -> None:
    versions = {
        item.inputs["addonName"]: item.inputs["addonVersion"]
        for item in recorded.of(ADDON)
        if item.name.startswith("one-")
    }
    assert versions == ADDONS["1.34"]


def test_s1_the_networks_addon_enforces_policies(recorded: Recording) -> None:
    values = recorded.one(ADDON, "one-vpc-cni").inputs["configurationValues"]
    assert json.loads(values) == {"enableNetworkPolicy": "true"}
    assert "configurationValues" not in recorded.one(ADDON, "one-coredns").inputs


def test_nodes_wait_for_their_network_and_dns_for_nodes(recorded: Recording) -> None:
    nodes = recorded.one("ml-platform:index:NodeGroup", "one-system")
    assert recorded.one(ADDON, "one-vpc-cni").urn in nodes.dependencies
    assert recorded.one(ADDON, "one-eks-pod-identity-agent").urn in nodes.dependencies
    group = recorded.one("aws:eks/nodeGroup:NodeGroup", "one-system")
    assert group.urn in recorded.one(ADDON, "one-coredns").dependencies


def test_system_nodes_are_as_the_settings_say(recorded: Recording) -> None:
    inputs = recorded.one("aws:eks/nodeGroup:NodeGroup", "one-system").inputs
    assert inputs["instanceTypes"] == ["m7i.large"]
    assert inputs["amiType"] == "AL2023_x86_64_STANDARD"
    assert inputs["scalingConfig"] == {"desiredSize": 2, "maxSize": 4, "minSize": 2}


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded)
