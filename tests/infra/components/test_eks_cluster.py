"""A cluster nobody reaches or administers unless listed, with its secrets encrypted and its actions logged."""

import json
from dataclasses import replace
from typing import Any

import pytest

from aws.owner import Owner
from components.eks_cluster import EksCluster, EksClusterArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
ENGINEER = "arn:aws:iam::123456789012:role/people/engineer"
AUTO = EksClusterArgs(
    owner=OWNER,
    cluster="ml-platform-dev",
    version="1.34",
    compute="auto",
    subnet_ids=["subnet-1", "subnet-2"],
    public_cidrs=[],
    log_days=30,
    administrators=[ENGINEER],
    cached_repositories=["arn:aws:ecr:eu-central-1:123456789012:repository/quay.io/*"],
    key_deletion_days=7,
    protect=True,
)
MANAGED = replace(AUTO, compute="managed", protect=False)


@pytest.fixture(scope="module")
def auto() -> Recording:
    return record(lambda: EksCluster("eks", AUTO))


@pytest.fixture(scope="module")
def managed() -> Recording:
    return record(lambda: EksCluster("eks", MANAGED))


def cluster(recorded: Recording) -> dict[str, Any]:
    return recorded.one("aws:eks/cluster:Cluster", "eks").inputs


def attached(recorded: Recording, role: str) -> set[str]:
    return {
        item.inputs["policyArn"].rpartition("/")[2]
        for item in recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
        if item.inputs["role"] == role
    }


def test_auto_mode_is_all_on(auto: Recording) -> None:
    """EKS takes the three together or not at all, and only without add-ons of its own."""
    inputs = cluster(auto)
    assert inputs["computeConfig"] == {
        "enabled": True,
        "nodePools": ["general-purpose", "system"],
        "nodeRoleArn": "arn:aws:test:::eks-nodes",
    }
    assert inputs["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert inputs["kubernetesNetworkConfig"] == {
        "elasticLoadBalancing": {"enabled": True},
        "serviceIpv4Cidr": "172.20.0.0/16",
    }
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_without_auto_mode_it_is_all_off(managed: Recording) -> None:
    inputs = cluster(managed)
    assert inputs["computeConfig"] == {"enabled": False}
    assert inputs["storageConfig"] == {"blockStorage": {"enabled": False}}
    assert inputs["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": False}
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_version_and_name_are_the_settings(auto: Recording) -> None:
    assert (cluster(auto)["name"], cluster(auto)["version"]) == ("ml-platform-dev", "1.34")


def test_nobody_outside_reaches_it_unless_listed(auto: Recording) -> None:
    assert cluster(auto)["vpcConfig"] == {
        "endpointPrivateAccess": True,
        "endpointPublicAccess": False,
        "subnetIds": ["subnet-1", "subnet-2"],
    }
    listed = record(lambda: EksCluster("eks", replace(AUTO, public_cidrs=["203.0.113.0/24"])))
    assert cluster(listed)["vpcConfig"]["endpointPublicAccess"] is True
    assert cluster(listed)["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_only_those_listed_administer_it(auto: Recording) -> None:
    assert cluster(auto)["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    entry = auto.one("aws:eks/accessEntry:AccessEntry", "eks-people-engineer").inputs
    assert (entry["principalArn"], entry["type"]) == (ENGINEER, "STANDARD")
    association = auto.one("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", "eks-people-engineer").inputs
    assert association["policyArn"] == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    assert association["accessScope"] == {"type": "cluster"}


def test_roles_of_one_name_in_two_paths_are_two() -> None:
    other = "arn:aws:iam::123456789012:role/machines/engineer"
    recorded = record(lambda: EksCluster("eks", replace(AUTO, administrators=[ENGINEER, other])))
    assert len(recorded.of("aws:eks/accessEntry:AccessEntry")) == 2
    assert len(set(recorded.urns())) == len(recorded)


def test_secrets_are_encrypted_by_a_key_of_its_own(auto: Recording) -> None:
    key = auto.one("aws:kms/key:Key", "eks-secrets")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 7
    assert cluster(auto)["encryptionConfig"] == {
        "provider": {"keyArn": "arn:aws:test:::eks-secrets"},
        "resources": ["secrets"],
    }
    (statement,) = json.loads(auto.one("aws:iam/rolePolicy:RolePolicy", "eks-secrets").inputs["policy"])["Statement"]
    assert statement["Resource"] == ["arn:aws:test:::eks-secrets"]


def test_all_logs_of_the_control_plane_are_kept_for_a_while(auto: Recording) -> None:
    assert set(cluster(auto)["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    group = auto.one("aws:cloudwatch/logGroup:LogGroup", "eks-logs")
    assert group.inputs["name"] == "/aws/eks/ml-platform-dev/cluster", "where EKS writes, whether it exists or not"
    assert group.inputs["retentionInDays"] == 30
    assert group.urn in auto.one("aws:eks/cluster:Cluster", "eks").dependencies


@pytest.mark.parametrize(
    ("compute", "role", "policies"),
    [
        (
            "auto",
            "eks-control-plane",
            {
                "AmazonEKSBlockStoragePolicy",
                "AmazonEKSClusterPolicy",
                "AmazonEKSComputePolicy",
                "AmazonEKSLoadBalancingPolicy",
                "AmazonEKSNetworkingPolicy",
            },
        ),
        ("auto", "eks-nodes", {"AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"}),
        ("managed", "eks-control-plane", {"AmazonEKSClusterPolicy"}),
        (
            "managed",
            "eks-nodes",
            {"AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"},
        ),
    ],
)
def test_roles_may_do_what_the_compute_needs(
    compute: str, role: str, policies: set[str], auto: Recording, managed: Recording
) -> None:
    assert attached({"auto": auto, "managed": managed}[compute], role) == policies


def test_the_cluster_outlives_no_policy_that_it_needs(auto: Recording) -> None:
    needed = [
        item.urn for item in auto if item.type.startswith("aws:iam/rolePolic") and item.type != "aws:iam/role:Role"
    ]
    assert set(needed) <= set(auto.one("aws:eks/cluster:Cluster", "eks").dependencies)


def test_cluster_and_key_are_protected_where_the_settings_say(auto: Recording, managed: Recording) -> None:
    assert {item.type for item in auto if item.protect} == {"aws:eks/cluster:Cluster", "aws:kms/key:Key"}
    assert not [item for item in managed if item.protect]


def test_two_instances_share_no_name() -> None:
    recorded = record(lambda: (EksCluster("one", AUTO), EksCluster("two", AUTO)))
    assert len(set(recorded.urns())) == len(recorded)
