"""What EKS keeps, answers and refuses."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.eks_access import CLUSTER_ADMIN
from emulator.inventory import inventory
from emulator.process import Emulator
from example import ADMINISTRATOR

AUTO: dict[str, Any] = {
    "bootstrapSelfManagedAddons": False,
    "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    "computeConfig": {"enabled": True, "nodePools": ["general-purpose", "system"]},
    "storageConfig": {"blockStorage": {"enabled": True}},
    "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}, "serviceIpv4Cidr": "172.20.0.0/16"},
}


@pytest.fixture
def settings(role: str, subnets: list[str]) -> dict[str, Any]:
    """What CreateCluster takes for Auto Mode."""
    compute = AUTO["computeConfig"] | {"nodeRoleArn": role}
    networking = {"subnetIds": subnets, "endpointPrivateAccess": True, "endpointPublicAccess": False}
    return {
        "name": "c",
        "version": "1.34",
        "roleArn": role,
        "resourcesVpcConfig": networking,
        **AUTO,
        "computeConfig": compute,
    }


@pytest.fixture
def eks(aws: Emulator) -> Iterator[Any]:
    """A client of EKS; the clusters of a test go with it."""
    client = aws.client("eks")
    yield client
    for cluster in client.list_clusters()["clusters"]:
        for group in client.list_nodegroups(clusterName=cluster)["nodegroups"]:
            client.delete_nodegroup(clusterName=cluster, nodegroupName=group)
            wait(client, "nodegroup_deleted", clusterName=cluster, nodegroupName=group)
        client.delete_cluster(name=cluster)
        wait(client, "cluster_deleted", name=cluster)


def wait(client: Any, what: str, **names: str) -> None:
    client.get_waiter(what).wait(**names, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})  # type: ignore[arg-type]


@pytest.fixture
def cluster(eks: Any, settings: dict[str, Any]) -> str:
    """The name of a cluster that is up."""
    eks.create_cluster(**settings)
    wait(eks, "cluster_active", name="c")
    return "c"


def test_cluster_keeps_auto_mode_settings(eks: Any, cluster: str, settings: dict[str, Any]) -> None:
    found = eks.describe_cluster(name=cluster)["cluster"]
    for key in ("computeConfig", "storageConfig", "accessConfig"):
        assert found[key] == settings[key]
    assert found["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert found["resourcesVpcConfig"]["publicAccessCidrs"] == []
    assert found["resourcesVpcConfig"]["clusterSecurityGroupId"].startswith("sg-")


@pytest.mark.parametrize("part", ["computeConfig", "storageConfig", "kubernetesNetworkConfig"])
def test_auto_mode_is_whole_or_not_at_all(eks: Any, settings: dict[str, Any], part: str) -> None:
    del settings[part]
    with pytest.raises(eks.exceptions.InvalidParameterException, match="either fully enabled or fully disabled"):
        eks.create_cluster(**settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "1.2"}, "unsupported Kubernetes version"),
        ({"roleArn": "arn:aws:iam::123456789012:role/nobody"}, "does not exist"),
        ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "authentication mode"),
        ({"bootstrapSelfManagedAddons": True}, "bootstrapSelfManagedAddons"),
        ({"resourcesVpcConfig": {"subnetIds": ["subnet-none", "subnet-nothing"]}}, "subnet ID does not exist"),
        (
            {"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:x:1:key/none"}}]},
            "does not exist or is disabled",
        ),
    ],
)
def test_cluster_is_refused(eks: Any, settings: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(eks.exceptions.InvalidParameterException, match=message):
        eks.create_cluster(**settings | change)


def test_cluster_needs_two_zones(eks: Any, settings: dict[str, Any]) -> None:
    settings["resourcesVpcConfig"]["subnetIds"] = settings["resourcesVpcConfig"]["subnetIds"][:1]
    with pytest.raises(eks.exceptions.InvalidParameterException, match="two different AZs"):
        eks.create_cluster(**settings)


def test_network_of_a_cluster_cannot_go_before_it(aws: Emulator, eks: Any, cluster: str) -> None:
    networking = eks.describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]
    ec2 = aws.client("ec2")
    with pytest.raises(ec2.exceptions.ClientError, match="DependencyViolation"):
        ec2.delete_subnet(SubnetId=networking["subnetIds"][0])
    eks.delete_cluster(name=cluster)
    wait(eks, "cluster_deleted", name=cluster)
    for subnet in networking["subnetIds"]:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=networking["vpcId"])


def test_configuration_is_updated(eks: Any, cluster: str) -> None:
    logging = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    update = eks.update_cluster_config(name=cluster, logging=logging)["update"]
    assert update["status"] == "InProgress"
    with pytest.raises(eks.exceptions.ResourceInUseException):
        eks.delete_cluster(name=cluster)
    wait(eks, "cluster_active", name=cluster)
    assert eks.describe_update(name=cluster, updateId=update["id"])["update"]["status"] == "Successful"
    enabled = [
        one for one in eks.describe_cluster(name=cluster)["cluster"]["logging"]["clusterLogging"] if one["enabled"]
    ]
    assert [one["types"] for one in enabled] == [["api", "audit"]]


def test_version_rises_by_one(eks: Any, cluster: str) -> None:
    with pytest.raises(eks.exceptions.InvalidParameterException, match="minor version"):
        eks.update_cluster_version(name=cluster, version="1.33")
    eks.update_cluster_version(name=cluster, version="1.35")
    wait(eks, "cluster_active", name=cluster)
    assert eks.describe_cluster(name=cluster)["cluster"]["version"] == "1.35"


def test_access_entries_and_policies(eks: Any, cluster: str, role: str) -> None:
    entries = eks.list_access_entries(clusterName=cluster)["accessEntries"]
    assert entries == [eks.describe_cluster(name=cluster)["cluster"]["computeConfig"]["nodeRoleArn"]]
    made = eks.create_access_entry(clusterName=cluster, principalArn=ADMINISTRATOR, tags={"a": "b"})["accessEntry"]
    assert eks.describe_access_entry(clusterName=cluster, principalArn=ADMINISTRATOR)["accessEntry"] == made
    with pytest.raises(eks.exceptions.ResourceInUseException):
        eks.create_access_entry(clusterName=cluster, principalArn=ADMINISTRATOR)
    with pytest.raises(eks.exceptions.InvalidParameterException, match="invalid principal"):
        eks.create_access_entry(clusterName=cluster, principalArn=f"{role}-none")
    names = {"clusterName": cluster, "principalArn": ADMINISTRATOR}
    eks.associate_access_policy(**names, policyArn=CLUSTER_ADMIN, accessScope={"type": "cluster"})
    (policy,) = eks.list_associated_access_policies(**names)["associatedAccessPolicies"]
    assert policy["policyArn"] == CLUSTER_ADMIN
    with pytest.raises(eks.exceptions.InvalidParameterException, match="policyArn"):
        eks.associate_access_policy(**names, policyArn="arn:aws:iam::aws:policy/x", accessScope={"type": "cluster"})
    eks.disassociate_access_policy(**names, policyArn=CLUSTER_ADMIN)
    eks.untag_resource(resourceArn=made["accessEntryArn"], tagKeys=["a"])
    assert eks.list_tags_for_resource(resourceArn=made["accessEntryArn"])["tags"] == {}
    eks.delete_access_entry(**names)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_access_entry(**names)


def test_addons(eks: Any, cluster: str) -> None:
    names = {"clusterName": cluster, "addonName": "vpc-cni"}
    assert eks.create_addon(**names, addonVersion="v1.2.3-eksbuild.4")["addon"]["status"] == "CREATING"
    wait(eks, "addon_active", **names)
    eks.update_addon(**names, addonVersion="v1.2.4-eksbuild.1", resolveConflicts="OVERWRITE")
    assert eks.describe_addon(**names)["addon"]["addonVersion"] == "v1.2.4-eksbuild.1"
    with pytest.raises(eks.exceptions.InvalidParameterException, match="not supported"):
        eks.create_addon(clusterName=cluster, addonName="nonsense")
    eks.delete_addon(**names)
    wait(eks, "addon_deleted", **names)


def test_pod_identity_associations(eks: Any, cluster: str, role: str) -> None:
    names = {"clusterName": cluster, "namespace": "n", "serviceAccount": "s"}
    made = eks.create_pod_identity_association(**names, roleArn=role)["association"]
    with pytest.raises(eks.exceptions.ResourceInUseException):
        eks.create_pod_identity_association(**names, roleArn=role)
    with pytest.raises(eks.exceptions.InvalidParameterException, match="does not exist"):
        eks.create_pod_identity_association(**names | {"namespace": "m"}, roleArn=f"{role}-none")
    assert eks.list_pod_identity_associations(**names)["associations"][0]["associationId"] == made["associationId"]
    assert eks.list_pod_identity_associations(**names | {"namespace": "m"})["associations"] == []
    eks.delete_pod_identity_association(clusterName=cluster, associationId=made["associationId"])


def test_cluster_with_node_groups_stays(aws: Emulator, eks: Any, cluster: str, role: str, subnets: list[str]) -> None:
    names = {"clusterName": cluster, "nodegroupName": "g"}
    scaling = {"minSize": 0, "maxSize": 2, "desiredSize": 0}
    eks.create_nodegroup(**names, nodeRole=role, subnets=subnets, scalingConfig=scaling, capacityType="SPOT")
    wait(eks, "nodegroup_active", **names)
    with pytest.raises(eks.exceptions.ResourceInUseException, match="nodegroups"):
        eks.delete_cluster(name=cluster)
    with pytest.raises(eks.exceptions.InvalidParameterException, match="desired capacity"):
        eks.update_nodegroup_config(**names, scalingConfig={"minSize": 1})
    labels = {"addOrUpdateLabels": {"a": "b"}}
    eks.update_nodegroup_config(**names, labels=labels)
    group = eks.describe_nodegroup(**names)["nodegroup"]
    assert (group["status"], group["labels"], group["capacityType"]) == ("UPDATING", {"a": "b"}, "SPOT")
    assert inventory(aws)["eks node group"] == {"c/g"}
    wait(eks, "nodegroup_active", **names)
