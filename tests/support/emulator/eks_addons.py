"""EKS's add-ons."""

import uuid
from collections.abc import Callable
from typing import Any

from emulator.account import Where
from emulator.eks_state import Kept, now
from emulator.lifecycle import Document, after
from emulator.wire import Failure

# Those that the project installs or might; their versions are not checked against AWS's list, only their form.
ADDONS = (
    "aws-ebs-csi-driver",
    "coredns",
    "eks-node-monitoring-agent",
    "eks-pod-identity-agent",
    "kube-proxy",
    "metrics-server",
    "vpc-cni",
)
KEPT = ("addonName", "clusterName", "addonVersion", "serviceAccountRoleArn", "configurationValues", "tags")


class Addons:
    """The operations, a part of Eks."""

    seconds: float
    cluster: Callable[[Where, str], tuple[Document, Kept]]
    active_cluster: Callable[[Where, str], tuple[Document, Kept]]
    record_update: Callable[[Kept, str], Document]

    def create_addon(self, here: Where, request: Document) -> Document:
        cluster, name = request["clusterName"], request["addonName"]
        _, kept = self.active_cluster(here, cluster)
        if kept.addons.get(name):
            raise Failure("ResourceInUseException", "Addon already exists.", clusterName=cluster, addonName=name)
        if name not in ADDONS:
            raise Failure("InvalidParameterException", f"Addon {name} specified is not supported", addonName=name)
        document = {
            "tags": {},
            "addonVersion": "v1.0.0-eksbuild.1",
            **{key: request[key] for key in KEPT if key in request},
            "addonArn": here.arn("eks", f"addon/{cluster}/{name}/{uuid.uuid4()}"),
            "createdAt": now(),
            "modifiedAt": now(),
            "health": {"issues": []},
        }
        _check_version(document["addonVersion"])
        return {"addon": kept.addons.add(name, document, after(self.seconds))}

    def describe_addon(self, here: Where, request: Document) -> Document:
        return {"addon": self._addon(here, request)[1]}

    def list_addons(self, here: Where, request: Document) -> Document:
        return {"addons": list(self.cluster(here, request["clusterName"])[1].addons)}

    def update_addon(self, here: Where, request: Document) -> Document:
        kept, addon = self._addon(here, request)
        _check_version(request.get("addonVersion", addon["addonVersion"]))
        addon |= {key: request[key] for key in KEPT if key in request}
        addon["modifiedAt"] = now()
        kept.addons.change(request["addonName"], after(self.seconds))
        return {"update": self.record_update(kept, "AddonUpdate")}

    def delete_addon(self, here: Where, request: Document) -> Document:
        kept, _ = self._addon(here, request)
        return {"addon": kept.addons.remove(request["addonName"], after(self.seconds))}

    def _addon(self, here: Where, request: Document) -> tuple[Kept, Document]:
        cluster, name = request["clusterName"], request["addonName"]
        _, kept = self.cluster(here, cluster)
        addon = kept.addons.get(name)
        if addon is None:
            raise Failure("ResourceNotFoundException", f"No addon: {name} found in cluster: {cluster}", addonName=name)
        return kept, addon


def _check_version(version: Any) -> None:
    if not str(version).startswith("v") or "-eksbuild." not in version:
        raise Failure("InvalidParameterException", f"Addon version specified is not supported: {version}")
