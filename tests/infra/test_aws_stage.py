"""How a stage's settings become its cluster: the default, and the settings that no committed stage has."""

import json
from typing import Any

import pytest

import aws_stage
import example
import program
from aws import naming
from example import ACCOUNT, REGION, REPOSITORY
from recording import Recording, record
from runner_harness.process import tool
from settings import AwsStage, Paths, SettingsError
from settings.aws import SystemNodes

pytestmark = pytest.mark.tools

HOST = naming.registry_host(ACCOUNT, REGION)
NODES = SystemNodes(instanceTypes=["m7i.large"], min=2, max=4)


def stage(**changes: dict[str, Any]) -> AwsStage:
    """The stage dev with other settings: `kubernetes={"compute": "managed"}`."""
    found = example.stage("dev")
    sections = {key: getattr(found, key).model_copy(update=update) for key, update in changes.items()}
    return found.model_copy(update=sections)


def compose(cluster: AwsStage) -> Recording:
    tool("kustomize")
    with example.instead():
        outputs = program.shared_outputs(example.shared())
        return record(lambda: aws_stage.compose(cluster, Paths.from_environment()), "dev", outputs)


@pytest.fixture(scope="module")
def auto() -> Recording:
    return compose(stage())


@pytest.fixture(scope="module")
def managed() -> Recording:
    return compose(stage(kubernetes={"compute": "managed", "system_nodes": NODES}))


def test_the_cluster_is_in_the_networks_private_subnets(auto: Recording) -> None:
    subnets = auto.one("aws:eks/cluster:Cluster", "cluster").inputs["vpcConfig"]["subnetIds"]
    assert subnets == [f"network-private-{REGION}a-id", f"network-private-{REGION}b-id"]


def test_whoever_applies_the_stack_and_those_listed_administer_it(auto: Recording) -> None:
    assert {item.inputs["principalArn"] for item in auto.of("aws:eks/accessEntry:AccessEntry")} == {
        f"arn:aws:iam::{ACCOUNT}:role/ml-platform-deploy-dev",
        f"arn:aws:iam::{ACCOUNT}:role/platform-engineer",
    }


def test_its_objects_wait_until_they_may_be_made(auto: Recording) -> None:
    allowed = {item.urn for item in auto.of("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")}
    assert allowed <= set(auto.one("pulumi:providers:kubernetes", "cluster").dependencies)


def test_every_pod_with_a_grant_has_its_own(auto: Recording) -> None:
    associated = {
        item.name: (item.inputs["namespace"], item.inputs["serviceAccount"])
        for item in auto.of("aws:eks/podIdentityAssociation:PodIdentityAssociation")
    }
    assert associated == {
        "access-dvc": ("runner-controller", "runner-job"),
        "access-evaluate": ("runner-controller", "runner-evaluate"),
        "access-judge": ("runner-controller", "runner-judge"),
        "access-secrets": ("external-secrets", "external-secrets"),
        "access-serving-dev": ("dev", "classifier"),
    }


def test_grants_are_on_the_shared_buckets(auto: Recording) -> None:
    def resources(purpose: str) -> str:
        policy = json.loads(auto.one("aws:iam/rolePolicy:RolePolicy", f"access-{purpose}").inputs["policy"])
        return json.dumps([item["Resource"] for item in policy["Statement"]])

    assert f"arn:aws:s3:::ml-platform-data-{ACCOUNT}/dvc/*" in resources("dvc")
    assert "models" not in resources("dvc")
    assert f"arn:aws:s3:::ml-platform-models-{ACCOUNT}/releases/*" in resources("judge")
    assert f"arn:aws:s3:::ml-platform-data-{ACCOUNT}/measurements/*" in resources("evaluate")
    assert f"arn:aws:s3:::ml-platform-models-{ACCOUNT}/*" in resources("serving-dev")


def test_argocd_comes_through_the_caches(auto: Recording) -> None:
    images = set(_images([item.inputs for item in auto if item.type.startswith("kubernetes:apps/v1:")]))
    assert len(images) > 1
    assert all(image.startswith(f"{HOST}/") for image in images)


def _images(value: Any) -> list[str]:
    match value:
        case dict():
            own = [value["image"]] if isinstance(value.get("image"), str) else []
            return own + [image for item in value.values() for image in _images(item)]
        case list():
            return [image for item in value for image in _images(item)]
    return []


def test_argocd_is_told_about_the_cluster(auto: Recording) -> None:
    metadata = auto.one("kubernetes:core/v1:Secret", "gitops-cluster").inputs["metadata"]
    assert metadata["annotations"]["ml-platform.dev/registry"] == HOST
    assert metadata["annotations"]["ml-platform.dev/repo-url"] == f"https://github.com/{REPOSITORY}.git"
    assert metadata["labels"]["stage.ml-platform.dev/dev"] == "true"


def test_the_gpu_pool_is_as_the_settings_say(auto: Recording) -> None:
    spec = auto.one("kubernetes:karpenter.sh/v1:NodePool", "gpu").inputs["spec"]
    gpu = stage().gpu
    assert gpu
    assert spec["limits"] == {"nvidia.com/gpu": str(gpu.limit)}


def test_without_the_section_there_is_no_gpu_pool() -> None:
    recorded = compose(stage().model_copy(update={"gpu": None}))
    assert not recorded.of("kubernetes:karpenter.sh/v1:NodePool")


def test_auto_mode_needs_no_nodes_of_ours(auto: Recording) -> None:
    assert not auto.of("aws:eks/nodeGroup:NodeGroup")
    assert not auto.of("aws:eks/addon:Addon")


def test_managed_nodes_bring_what_auto_mode_has_built_in(managed: Recording) -> None:
    assert {item.name for item in managed.of("aws:eks/nodeGroup:NodeGroup")} == {
        "compute-system",
        "gpu-spot",
        "gpu-on-demand",
    }
    assert {item.inputs["addonName"] for item in managed.of("aws:eks/addon:Addon")} >= {"vpc-cni", "coredns"}
    assert managed.one("kubernetes:apps/v1:DaemonSet", "gpu-plugin")
    assert managed.one("kubernetes:apps/v1:Deployment", "autoscaler-deployment")
    assert not managed.of("kubernetes:karpenter.sh/v1:NodePool")


def test_the_autoscaler_may_scale_before_it_starts(managed: Recording) -> None:
    grant = managed.one("aws:eks/podIdentityAssociation:PodIdentityAssociation", "access-autoscaler")
    assert (grant.inputs["namespace"], grant.inputs["serviceAccount"]) == ("kube-system", "cluster-autoscaler")
    assert grant.urn in managed.one("ml-platform:index:ClusterAutoscaler", "autoscaler").dependencies


def test_pods_wait_for_nodes(managed: Recording) -> None:
    nodes = managed.one("aws:eks/nodeGroup:NodeGroup", "compute-system").urn
    assert nodes in managed.one("ml-platform:index:Namespaces", "stages").dependencies
    assert nodes in managed.one("ml-platform:index:GpuNodePool", "gpu").dependencies


def test_a_repository_that_anybody_reads_needs_no_token(auto: Recording) -> None:
    assert "password" not in auto.one("kubernetes:core/v1:Secret", "gitops-repository").inputs["stringData"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": {"nat": "none"}}, r"clusters/dev/cluster.yaml: network.nat: none cannot be used .*nvcr.io"),
        ({"gpu": {"families": ["p4d"], "limit": 4}}, r"clusters/dev/cluster.yaml: gpu: limit 4 is less than the 8"),
        ({"gpu": {"families": ["g6", "p4d"]}}, r"clusters/dev/cluster.yaml: gpu: families mixes"),
    ],
)
def test_what_node_groups_cannot_do_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        aws_stage.managed_gpu_nodes(stage(kubernetes={"compute": "managed", "system_nodes": NODES}, **changes))


def test_a_cluster_of_another_provider_is_not_shared() -> None:
    with pytest.raises(SettingsError, match=r"clusters/dev/cluster\.yaml: shared: prod has provider 'aws'"):
        aws_stage.load_shared(stage().model_copy(update={"shared": "prod"}))


def test_s1_the_engine_of_network_policies_is_switched_on(auto: Recording, managed: Recording) -> None:
    (switch,) = (one for one in auto.of("kubernetes:core/v1:ConfigMap") if one.name == "network-policy-engine")
    assert switch.inputs["data"] == {"enable-network-policy-controller": "true"}
    assert not [one for one in managed if one.name == "network-policy-engine"]
    addon = managed.one("aws:eks/addon:Addon", "compute-vpc-cni").inputs["configurationValues"]
    assert json.loads(addon) == {"enableNetworkPolicy": "true"}


def test_s1_every_namespace_denies_by_default(auto: Recording) -> None:
    policies = [one.inputs for one in auto.of("kubernetes:networking.k8s.io/v1:NetworkPolicy")]
    denied = {one["metadata"]["namespace"] for one in policies if one["metadata"]["name"] == "default-deny"}
    assert denied == {one.inputs["metadata"]["name"] for one in auto.of("kubernetes:core/v1:Namespace")}
