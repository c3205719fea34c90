"""NVIDIA's device plugin, by which a node offers its GPUs. Auto Mode has it built in."""

from dataclasses import dataclass

import pulumi

from aws import gpu
from components.manifest import Manifest
from components.objects import Document

# https://github.com/NVIDIA/k8s-device-plugin/releases; ECR caches no registry that has it.
IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"
NAMESPACE = "kube-system"
LABELS = {"app.kubernetes.io/name": "nvidia-device-plugin"}
SOCKETS = "/var/lib/kubelet/device-plugins"


@dataclass(frozen=True)
class DevicePluginArgs:
    """`image`: the plugin's, by a full reference."""

    image: pulumi.Input[str]


class DevicePlugin(pulumi.ComponentResource):
    """A pod on each GPU node."""

    def __init__(self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ml-platform:index:DevicePlugin", name, None, opts)
        Manifest(name, daemon_set(args.image), pulumi.ResourceOptions(parent=self))
        self.register_outputs({})


def daemon_set(image: pulumi.Input[str]) -> Document:
    """As upstream's `deployments/static/nvidia-device-plugin.yml`, on the pool's nodes only."""
    container = {
        "name": "nvidia-device-plugin",
        "image": image,
        "env": [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "sockets", "mountPath": SOCKETS}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "nvidia-device-plugin", "namespace": NAMESPACE, "labels": LABELS},
        "spec": {
            "selector": {"matchLabels": LABELS},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "priorityClassName": "system-node-critical",
                    "automountServiceAccountToken": False,
                    "nodeSelector": dict(gpu.LABELS),
                    "tolerations": [{"key": gpu.RESOURCE, "operator": "Exists", "effect": "NoSchedule"}],
                    "containers": [container],
                    "volumes": [{"name": "sockets", "hostPath": {"path": SOCKETS}}],
                },
            },
        },
    }
