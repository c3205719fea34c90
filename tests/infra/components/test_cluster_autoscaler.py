"""The autoscaler scales this cluster's groups only, spot first, within the limit of GPUs."""

import json
from typing import Any, get_args

import pytest
import yaml

from aws.owner import Owner
from components.cluster_autoscaler import (
    IMAGES,
    NAMESPACE,
    SERVICE_ACCOUNT,
    ClusterAutoscaler,
    ClusterAutoscalerArgs,
    documents,
    statements,
)
from recording import record
from settings.aws import EksSettings

OWNER = Owner("dev", "123456789012", "eu-central-1")
CLUSTER = "ml-platform-dev"
ARGS = ClusterAutoscalerArgs(CLUSTER, "eu-central-1", "registry.test/autoscaler:1", 4)


@pytest.fixture(scope="module")
def by_kind() -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in documents(ARGS)}


def test_every_version_that_the_settings_accept_has_its_own() -> None:
    assert set(IMAGES) == set(get_args(EksSettings.model_fields["version"].annotation))
    assert all(f":v{version}." in image for version, image in IMAGES.items())


def test_it_knows_its_cluster_and_the_limit(by_kind: dict[str, Any]) -> None:
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.test/autoscaler:1"
    assert f"k8s.io/cluster-autoscaler/{CLUSTER}" in next(arg for arg in container["args"] if "auto-discovery" in arg)
    assert "--gpu-total=nvidia.com/gpu:0:4" in container["args"]
    assert {"name": "AWS_REGION", "value": "eu-central-1"} in container["env"]


def test_spot_groups_come_first(by_kind: dict[str, Any]) -> None:
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert "--expander=priority" in container["args"]
    priorities = yaml.safe_load(by_kind["ConfigMap"]["data"]["priorities"])
    assert priorities[max(priorities)] == [".*-spot-.*"]
    assert priorities[min(priorities)] == [".*"]


def test_its_pods_are_the_account_that_may_scale(by_kind: dict[str, Any]) -> None:
    assert by_kind["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == SERVICE_ACCOUNT
    assert by_kind["ServiceAccount"]["metadata"] == {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE}


def test_it_changes_no_group_but_this_clusters() -> None:
    for statement in statements(OWNER, CLUSTER):
        changes = [action for action in statement["Action"] if ":Describe" not in action and ":Get" not in action]
        if changes:
            assert statement["Condition"] == {
                "StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{CLUSTER}": "owned"}
            }
            assert "*" not in json.dumps(changes)


def test_two_instances_share_no_name() -> None:
    recorded = record(lambda: (ClusterAutoscaler("one", ARGS), ClusterAutoscaler("two", ARGS)))
    assert len(set(recorded.urns())) == len(recorded) == 16
