"""What follows from the facts of a cluster on AWS."""

import pytest
from pydantic import ValidationError

from example import stage
from settings import AwsStage
from settings.aws import GitHub


def test_names_are_those_of_python() -> None:
    cluster = stage("dev")
    assert cluster.network.flow_log_days == 14
    assert cluster.kubernetes.system_nodes is None
    assert cluster.retention.key_deletion_days == 7
    assert cluster.forge.clone_url == "https://github.com/owner/platform.git"
    assert not cluster.hosts_production


def test_the_gpu_pool_is_optional() -> None:
    document = stage("dev").model_dump(by_alias=True)
    del document["gpu"]
    assert AwsStage.model_validate(document).gpu is None


def test_a_managed_cluster_has_system_nodes() -> None:
    document = stage("dev").model_dump(by_alias=True)
    document["kubernetes"] |= {
        "compute": "managed",
        "systemNodes": {"instanceTypes": ["m7i.large"], "min": 2, "max": 4},
    }
    nodes = AwsStage.model_validate(document).kubernetes.system_nodes
    assert nodes is not None
    assert (nodes.instance_types, nodes.min, nodes.max) == (["m7i.large"], 2, 4)


def test_people_reach_the_endpoint_from_listed_ranges() -> None:
    document = stage("dev").model_dump(by_alias=True)
    document["kubernetes"]["publicCidrs"] = ["203.0.113.0/24", "198.51.100.7/32"]
    assert AwsStage.model_validate(document).kubernetes.public_cidrs == ["203.0.113.0/24", "198.51.100.7/32"]


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        stage("dev").protect = True  # type: ignore[misc]


def test_github_names_a_repository_with_its_numbers_or_without() -> None:
    old = {"kind": "github", "url": "https://github.com", "repository": "owner/platform"}
    assert GitHub.model_validate(old).claim == "owner/platform"
    new = GitHub.model_validate({**old, "ownerId": 123456, "repositoryId": 456789})
    assert new.claim == "owner@123456/platform@456789"
