"""Kubernetes' cluster autoscaler, which gives node groups the nodes that pods wait for. Auto Mode has Karpenter."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml

from aws import gpu
from aws.iam_documents import Statement, allow
from aws.owner import Owner
from components.manifest import Manifest

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "cluster-autoscaler"
MANIFESTS = Path(__file__).with_suffix(".yaml")
# Its minor version is the cluster's: https://github.com/kubernetes/autoscaler/releases
IMAGES = {
    "1.34": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.1",
    "1.35": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0",
}
# Groups whose name matches the higher number are tried first.
PREFER_SPOT = {20: [".*-spot-.*"], 10: [".*"]}


@dataclass(frozen=True)
class ClusterAutoscalerArgs:
    """`cluster`: its name at AWS. `gpu_limit`: the most GPUs that all groups together may have."""

    cluster: str
    region: str
    image: pulumi.Input[str]
    gpu_limit: int


class ClusterAutoscaler(pulumi.ComponentResource):
    """The autoscaler and what it may do in the cluster; what it may do at AWS is a PodAccess grant."""

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:ClusterAutoscaler", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for document in documents(args):
            Manifest(f"{name}-{document['kind']}".lower(), document, child)
        self.register_outputs({})


def documents(args: ClusterAutoscalerArgs) -> list[dict[str, Any]]:
    """`cluster_autoscaler.yaml` with the cluster's facts filled in."""
    found: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8")))
    by_kind = {document["kind"]: document for document in found}
    by_kind["ConfigMap"]["data"] = {"priorities": yaml.safe_dump(PREFER_SPOT)}
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    container["image"] = args.image
    container["args"] = [
        *container["args"],
        f"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/{args.cluster}",
        f"--gpu-total={gpu.RESOURCE}:0:{args.gpu_limit}",
    ]
    container["env"] = [{"name": "AWS_REGION", "value": args.region}]
    return found


def statements(owner: Owner, cluster: str) -> list[Statement]:
    """What it may do at AWS. Labels and taints of a group without nodes it learns from `eks:DescribeNodegroup`.

    https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
    """
    look = (
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
    )
    scale = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")
    own_groups = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}}
    return [
        allow("Look", look, ["*"]),  # these know no resources
        allow("LookAtNodeGroups", ["eks:DescribeNodegroup"], [owner.arn("eks", f"nodegroup/{cluster}/*")]),
        allow("Scale", scale, [owner.arn("autoscaling", "autoScalingGroup:*")], condition=own_groups),
    ]
