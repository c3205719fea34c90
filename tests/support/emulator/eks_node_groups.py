"""EKS's managed node groups. They have no machines: only their settings are kept."""

import uuid
from collections.abc import Callable

from emulator import account
from emulator.account import Where
from emulator.eks_state import Kept, now
from emulator.lifecycle import Document, after
from emulator.wire import Failure


class NodeGroups:
    """The operations, a part of Eks."""

    seconds: float
    cluster: Callable[[Where, str], tuple[Document, Kept]]
    active_cluster: Callable[[Where, str], tuple[Document, Kept]]
    record_update: Callable[[Kept, str], Document]
    admit_nodes: Callable[[Where, Kept, str, str, str], None]

    def create_nodegroup(self, here: Where, request: Document) -> Document:
        cluster, name = request["clusterName"], request["nodegroupName"]
        owner, kept = self.active_cluster(here, cluster)
        if kept.node_groups.get(name):
            raise Failure(
                "ResourceInUseException", "NodeGroup already exists with name", clusterName=cluster, nodegroupName=name
            )
        _check(here, request)
        document = {
            "tags": {},
            "labels": {},
            "capacityType": "ON_DEMAND",
            "scalingConfig": {"minSize": 1, "maxSize": 2, "desiredSize": 2},
            "updateConfig": {"maxUnavailable": 1},
            "version": owner["version"],
            **{key: value for key, value in request.items() if key != "clientRequestToken"},
            "nodegroupArn": here.arn("eks", f"nodegroup/{cluster}/{name}/{uuid.uuid4()}"),
            "releaseVersion": f"{owner['version']}.0-20250101",
            "createdAt": now(),
            "modifiedAt": now(),
            "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{uuid.uuid4()}"}]},
            "health": {"issues": []},
        }
        self.admit_nodes(here, kept, cluster, request["nodeRole"], "EC2_LINUX")
        return {"nodegroup": kept.node_groups.add(name, document, after(self.seconds))}

    def describe_nodegroup(self, here: Where, request: Document) -> Document:
        return {"nodegroup": self._group(here, request)[1]}

    def list_nodegroups(self, here: Where, request: Document) -> Document:
        return {"nodegroups": list(self.cluster(here, request["clusterName"])[1].node_groups)}

    def update_nodegroup_config(self, here: Where, request: Document) -> Document:
        kept, group = self._group(here, request)
        _check_scaling(group["scalingConfig"] | request.get("scalingConfig", {}))
        for key in ("scalingConfig", "updateConfig", "nodeRepairConfig"):
            if key in request:
                group[key] = group.get(key, {}) | request[key]
        labels = request.get("labels", {})
        group["labels"] = {
            key: value
            for key, value in (group["labels"] | labels.get("addOrUpdateLabels", {})).items()
            if key not in labels.get("removeLabels", [])
        }
        if taints := request.get("taints"):
            changed = [*taints.get("addOrUpdateTaints", []), *taints.get("removeTaints", [])]
            names = {(taint["key"], taint["effect"]) for taint in changed}
            rest = [taint for taint in group.get("taints", []) if (taint["key"], taint["effect"]) not in names]
            group["taints"] = rest + taints.get("addOrUpdateTaints", [])
        return self._updated(kept, request, group, "ConfigUpdate")

    def update_nodegroup_version(self, here: Where, request: Document) -> Document:
        kept, group = self._group(here, request)
        owner, _ = self.cluster(here, request["clusterName"])
        version = request.get("version", owner["version"])
        if version > owner["version"]:
            raise Failure("InvalidParameterException", f"Nodegroup version {version} is above the cluster's")
        group |= {"version": version, "releaseVersion": request.get("releaseVersion", f"{version}.0-20250101")}
        if "launchTemplate" in request:
            group["launchTemplate"] = request["launchTemplate"]
        return self._updated(kept, request, group, "VersionUpdate")

    def delete_nodegroup(self, here: Where, request: Document) -> Document:
        kept, _ = self._group(here, request)
        return {"nodegroup": kept.node_groups.remove(request["nodegroupName"], after(self.seconds))}

    def _updated(self, kept: Kept, request: Document, group: Document, kind: str) -> Document:
        group["modifiedAt"] = now()
        kept.node_groups.change(request["nodegroupName"], after(self.seconds))
        return {"update": self.record_update(kept, kind)}

    def _group(self, here: Where, request: Document) -> tuple[Kept, Document]:
        cluster, name = request["clusterName"], request["nodegroupName"]
        _, kept = self.cluster(here, cluster)
        group = kept.node_groups.get(name)
        if group is None:
            message = f"No node group found for name: {name}."
            raise Failure("ResourceNotFoundException", message, clusterName=cluster, nodegroupName=name)
        return kept, group


def _check(here: Where, request: Document) -> None:
    """Refuse what EKS refuses. Raises Failure."""

    def invalid(message: str) -> Failure:
        return Failure("InvalidParameterException", message, nodegroupName=request["nodegroupName"])

    if not account.role_exists(request["nodeRole"]):
        raise invalid(f"The role {request['nodeRole']} does not exist")
    if len(account.subnets(here, request["subnets"])) < len(request["subnets"]):
        raise invalid(f"The subnet ID does not exist: one of {', '.join(request['subnets'])}")
    template = request.get("launchTemplate")
    if template and template.get("id") not in account.network(here).launch_templates:
        raise invalid(f"Launch template {template} does not exist")
    if template and "diskSize" in request:
        raise invalid("Disk size must be specified within the launch template")
    _check_scaling(request.get("scalingConfig", {}))


def _check_scaling(scaling: Document) -> None:
    least, wanted, most = (scaling.get(key) for key in ("minSize", "desiredSize", "maxSize"))
    if None not in (least, wanted, most) and not least <= wanted <= most:  # type: ignore[operator]
        raise Failure("InvalidParameterException", f"desired capacity {wanted} is not within {least} and {most}")
