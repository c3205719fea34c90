"""GPU nodes: none until a pod needs one, tainted, within the limit, spot before on-demand."""

import pytest

from aws import gpu
from aws.owner import Owner
from components.gpu_node_pool import GpuNodePool, GroupArgs, KarpenterArgs, node_pool
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
KARPENTER = KarpenterArgs(["g6", "g5"], ["spot", "on-demand"], 4)
GROUPS = GroupArgs(
    owner=OWNER,
    cluster="ml-platform-dev",
    version="1.34",
    node_role_arn="arn:role",
    subnet_ids=["subnet-1"],
    capacity=["spot", "on-demand"],
    nodes=gpu.nodes(["g6", "g5"], 4),
    plugin_image="registry.test/plugin:1",
)
GROUP = "aws:eks/nodeGroup:NodeGroup"


@pytest.fixture(scope="module")
def groups() -> Recording:
    return record(lambda: GpuNodePool("gpu", GROUPS))


def test_karpenters_pool_is_one_object() -> None:
    recorded = record(lambda: GpuNodePool("gpu", KARPENTER))
    assert recorded.one("kubernetes:karpenter.sh/v1:NodePool", "gpu").inputs["metadata"] == {"name": "gpu"}
    assert not recorded.of(GROUP)


def test_karpenter_keeps_other_pods_off_and_within_the_limit() -> None:
    spec = node_pool(KARPENTER)["spec"]
    assert spec["template"]["spec"]["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]
    assert spec["limits"] == {"nvidia.com/gpu": "4"}


def test_karpenter_takes_the_families_and_capacity_of_the_settings() -> None:
    requirements = {item["key"]: item for item in node_pool(KARPENTER)["spec"]["template"]["spec"]["requirements"]}
    assert requirements["eks.amazonaws.com/instance-family"]["values"] == ["g6", "g5"]
    assert requirements["karpenter.sh/capacity-type"]["values"] == ["spot", "on-demand"]
    assert {item["operator"] for item in requirements.values()} == {"In"}


def test_karpenter_gives_up_empty_nodes_only() -> None:
    assert node_pool(KARPENTER)["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"


def test_karpenters_nodes_are_labelled_and_of_ekss_class() -> None:
    template = node_pool(KARPENTER)["spec"]["template"]
    assert template["metadata"]["labels"] == gpu.LABELS
    assert template["spec"]["nodeClassRef"] == {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"}


def test_a_group_a_kind_of_capacity_from_zero(groups: Recording) -> None:
    for name, capacity in (("gpu-spot", "SPOT"), ("gpu-on-demand", "ON_DEMAND")):
        inputs = groups.one(GROUP, name).inputs
        assert inputs["capacityType"] == capacity
        assert inputs["scalingConfig"] == {"desiredSize": 0, "maxSize": 4, "minSize": 0}
        assert inputs["amiType"] == "AL2023_x86_64_NVIDIA"
        assert inputs["instanceTypes"] == ["g6.xlarge", "g5.xlarge"]
        assert inputs["labels"] == gpu.LABELS
        assert inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_groups_need_the_device_plugin(groups: Recording) -> None:
    (plugin,) = groups.of("kubernetes:apps/v1:DaemonSet")
    (container,) = plugin.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.test/plugin:1"


@pytest.mark.parametrize("args", [KARPENTER, GROUPS], ids=["auto", "managed"])
def test_two_instances_share_no_name(args: KarpenterArgs | GroupArgs) -> None:
    recorded = record(lambda: (GpuNodePool("one", args), GpuNodePool("two", args)))
    assert len(set(recorded.urns())) == len(recorded)
