"""EKS: clusters, with Auto Mode's settings and each with a real API server, and their tags and updates.

Follows the API reference of EKS (2017-11-01). Refusals are those that a wrong order or a wrong setting would meet.
"""

import itertools
import threading
import uuid
from typing import Any

from emulator import account
from emulator.account import Where
from emulator.eks_access import AccessEntries
from emulator.eks_addons import Addons
from emulator.eks_node_groups import NodeGroups
from emulator.eks_state import ApiServers, Kept, now
from emulator.lifecycle import Document, Shelf, after
from emulator.wire import Failure

VERSIONS = ("1.31", "1.32", "1.33", "1.34", "1.35")
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
NODE_POOLS = ("general-purpose", "system")


class Eks(AccessEntries, Addons, NodeGroups):
    """Carries out EKS's operations, each a method by its name; what takes a while takes `seconds` longer."""

    def __init__(self, servers: ApiServers, seconds: float) -> None:
        self.lock = threading.RLock()
        self.seconds = seconds
        self._servers = servers
        self._regions: dict[tuple[str, str], Shelf] = {}
        self._kept: dict[str, Kept] = {}

    def create_cluster(self, here: Where, request: Document) -> Document:
        name, shelf = request["name"], self._shelf(here)
        if shelf.get(name):
            raise Failure("ResourceInUseException", f"Cluster already exists with name: {name}", clusterName=name)
        _check(here, request)
        auto = bool(request.get("computeConfig", {}).get("enabled"))
        document = _cluster(here, request)
        group, interfaces = self._network(here, name, document["resourcesVpcConfig"])
        server = self._servers.start(name, auto)
        kept = Kept(here, server, group, interfaces)
        self._kept[document["arn"]] = kept
        if document["accessConfig"]["bootstrapClusterCreatorAdminPermissions"]:
            self.admit_creator(here, kept, name)
        if auto and (node_role := request["computeConfig"].get("nodeRoleArn")):
            self.admit_nodes(here, kept, name, node_role, "EC2")
        return {"cluster": shelf.add(name, document, server.ready)}

    def describe_cluster(self, here: Where, request: Document) -> Document:
        return {"cluster": self._shown(here, request["name"])}

    def list_clusters(self, here: Where, _: Document) -> Document:
        return {"clusters": list(self._shelf(here))}

    def delete_cluster(self, here: Where, request: Document) -> Document:
        name = request["name"]
        document, kept = self.cluster(here, name)
        if kept.node_groups:
            raise Failure("ResourceInUseException", "Cluster has nodegroups attached", clusterName=name)
        if document.get("deletionProtection"):
            raise Failure("InvalidRequestException", "Cluster deletion protection is on", clusterName=name)
        self._busy(document)
        kept.server.stop()
        done, rest = kept.server.gone, itertools.chain(kept.interfaces, [kept.security_group])

        def gone() -> bool:
            if not done():
                return False
            self._release(here, *rest)
            self._kept.pop(document["arn"], None)
            return True

        return {"cluster": self._shelf(here).remove(name, gone)}

    def update_cluster_config(self, here: Where, request: Document) -> Document:
        document, kept = self.cluster(here, request["name"])
        self._busy(document)
        changes = {key: value for key, value in request.items() if key not in ("name", "clientRequestToken")}
        _check_auto_mode(document | changes)
        for key, value in changes.items():
            if key == "logging":
                document[key] = _logging(value)
            elif isinstance(value, dict):
                document[key] = document.get(key, {}) | value
            else:
                document[key] = value
        self._shelf(here).change(request["name"], after(self.seconds))
        kind = "LoggingUpdate" if "logging" in changes else "EndpointAccessUpdate"
        return {"update": self.record_update(kept, "AutoModeUpdate" if "computeConfig" in changes else kind)}

    def update_cluster_version(self, here: Where, request: Document) -> Document:
        document, kept = self.cluster(here, request["name"])
        self._busy(document)
        old, new = VERSIONS.index(document["version"]), _version(request["version"])
        if VERSIONS.index(new) != old + 1:
            raise Failure("InvalidParameterException", f"Unsupported Kubernetes minor version update to {new}")
        document["version"] = new
        self._shelf(here).change(request["name"], after(self.seconds))
        return {"update": self.record_update(kept, "VersionUpdate")}

    def describe_update(self, here: Where, request: Document) -> Document:
        _, kept = self.cluster(here, request["name"])
        if request["updateId"] not in kept.updates:
            raise Failure("ResourceNotFoundException", f"No update found for ID: {request['updateId']}")
        document, done = kept.updates[request["updateId"]]
        return {"update": document | {"status": "Successful" if done() else "InProgress"}}

    def list_tags_for_resource(self, here: Where, request: Document) -> Document:
        return {"tags": dict(self._tagged(here, request["resourceArn"]).get("tags", {}))}

    def tag_resource(self, here: Where, request: Document) -> Document:
        document = self._tagged(here, request["resourceArn"])
        document["tags"] = document.get("tags", {}) | request["tags"]
        return {}

    def untag_resource(self, here: Where, request: Document) -> Document:
        document = self._tagged(here, request["resourceArn"])
        document["tags"] = {key: value for key, value in document["tags"].items() if key not in request["tagKeys"]}
        return {}

    def cluster(self, here: Where, name: str) -> tuple[Document, Kept]:
        """A cluster and what belongs to it. Raises Failure where there is none."""
        document = self._shelf(here).get(name)
        if document is None:
            raise Failure("ResourceNotFoundException", f"No cluster found for name: {name}.", clusterName=name)
        return document, self._kept[document["arn"]]

    def active_cluster(self, here: Where, name: str) -> tuple[Document, Kept]:
        """The same for what only a cluster that is up can be asked."""
        document, kept = self.cluster(here, name)
        if document["status"] not in ("ACTIVE", "UPDATING"):
            raise Failure("InvalidRequestException", f"Cluster {name} is {document['status']}", clusterName=name)
        return document, kept

    def named(self, name: str) -> Kept | None:
        """What belongs to the cluster of this name, in whatever account and region."""
        for arn, kept in self._kept.items():
            if arn.rpartition("/")[2] == name:
                return kept
        return None

    def record_update(self, kept: Kept, kind: str) -> Document:
        """An update that is over after a while."""
        identity = str(uuid.uuid4())
        document: Document = {"id": identity, "status": "InProgress", "type": kind, "params": [], "createdAt": now()}
        kept.updates[identity] = (document, after(self.seconds))
        return document

    def _shown(self, here: Where, name: str) -> Document:
        document, kept = self.cluster(here, name)
        if document["status"] != "CREATING":
            document |= {"endpoint": kept.server.endpoint, "certificateAuthority": {"data": kept.server.authority}}
        return document

    def _shelf(self, here: Where) -> Shelf:
        return self._regions.setdefault((here.account, here.region), Shelf())

    def _busy(self, document: Document) -> None:
        if document["status"] != "ACTIVE":
            name = document["name"]
            raise Failure("ResourceInUseException", f"Cluster {name} is {document['status']}", clusterName=name)

    def _tagged(self, here: Where, arn: str) -> Document:
        """The document that has this ARN. Raises Failure."""
        for name in self._shelf(here):
            document, kept = self.cluster(here, name)
            shelves = (kept.node_groups, kept.addons)
            inner = [shelf.get(item) for shelf in shelves for item in shelf]
            for candidate in (document, *inner, *kept.entries.values(), *kept.associations.values()):
                if candidate and arn in candidate.values():
                    return candidate
        raise Failure("NotFoundException", f"No resource has the ARN {arn}")

    def _network(self, here: Where, name: str, networking: Document) -> tuple[str, list[str]]:
        """The security group and network interfaces that EKS makes in the cluster's subnets, and takes away again."""
        ec2, found = account.network(here), account.subnets(here, networking["subnetIds"])
        networking["vpcId"] = found[0].vpc_id
        group_name = f"eks-cluster-sg-{name}-{uuid.uuid4().hex[:8]}"
        group = ec2.create_security_group(group_name, "EKS created security group", vpc_id=found[0].vpc_id)
        cards = [
            ec2.create_network_interface(subnet, None, group_ids=[group.id], description=f"Amazon EKS {name}").id
            for subnet in found
        ]
        networking["clusterSecurityGroupId"] = group.id
        return group.id, cards

    def _release(self, here: Where, *names: str) -> None:
        ec2 = account.network(here)
        for name in names:
            if name.startswith("sg-"):
                ec2.delete_security_group(group_id=name)
            else:
                ec2.delete_network_interface(name)


def _check(here: Where, request: Document) -> None:
    """Refuse what EKS refuses. Raises Failure."""

    def invalid(message: str) -> Failure:
        return Failure("InvalidParameterException", message, clusterName=request["name"])

    _version(request.get("version", VERSIONS[-2]))
    networking = request["resourcesVpcConfig"]
    ids = networking.get("subnetIds", [])
    found = account.subnets(here, ids)
    if len(found) < len(ids):
        raise invalid(f"The subnet ID does not exist: one of {', '.join(ids)}")
    if len({subnet.availability_zone for subnet in found}) < 2:
        raise invalid("Subnets specified must be in at least two different AZs")
    if not networking.get("endpointPublicAccess", True) and not networking.get("endpointPrivateAccess", False):
        raise invalid("Private and public endpoint access cannot be false")
    if not account.role_exists(request["roleArn"]):
        raise invalid(f"The role {request['roleArn']} does not exist")
    for block in request.get("encryptionConfig", []):
        if not account.key_exists(here, block["provider"]["keyArn"]):
            raise invalid(f"Key {block['provider']['keyArn']} does not exist or is disabled")
    _check_auto_mode(request)


def _check_auto_mode(document: Document) -> None:
    compute = document.get("computeConfig", {})
    switches = {
        bool(compute.get("enabled")),
        bool(document.get("kubernetesNetworkConfig", {}).get("elasticLoadBalancing", {}).get("enabled")),
        bool(document.get("storageConfig", {}).get("blockStorage", {}).get("enabled")),
    }
    if len(switches) > 1:
        raise Failure(
            "InvalidParameterException",
            "For EKS Auto Mode, please ensure that all required configs, including computeConfig,"
            " kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled.",
        )
    if not compute.get("enabled"):
        return
    mode = document.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP")
    if mode == "CONFIG_MAP":
        raise Failure("InvalidParameterException", "EKS Auto Mode needs authentication mode API")
    if document.get("bootstrapSelfManagedAddons", "status" not in document):
        raise Failure("InvalidParameterException", "EKS Auto Mode needs bootstrapSelfManagedAddons false")
    pools = compute.get("nodePools", [])
    if unknown := set(pools) - set(NODE_POOLS):
        raise Failure("InvalidParameterException", f"Unknown node pools: {', '.join(sorted(unknown))}")
    if pools and not compute.get("nodeRoleArn"):
        raise Failure("InvalidParameterException", "When using EKS Auto Mode node pools, nodeRoleArn must be set")


def _cluster(here: Where, request: Document) -> Document:
    """The document that DescribeCluster answers with, less what only a running API server has."""
    name, networking = request["name"], request["resourcesVpcConfig"]
    # EKS does not answer with these as they were sent, or at all.
    left_out = ("clientRequestToken", "bootstrapSelfManagedAddons", "logging", "resourcesVpcConfig", "accessConfig")
    kubernetes = {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4", "elasticLoadBalancing": {"enabled": False}}
    compute = {"enabled": False} | request.get("computeConfig", {})
    access: dict[str, Any] = {
        "authenticationMode": "CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
    }
    public = networking.get("endpointPublicAccess", True)
    return {
        "version": VERSIONS[-2],
        "tags": {},
        **{key: value for key, value in request.items() if key not in left_out},
        "arn": here.arn("eks", f"cluster/{name}"),
        "createdAt": now(),
        "platformVersion": "eks.1",
        "identity": {"oidc": {"issuer": f"https://oidc.eks.{here.region}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"}},
        "accessConfig": access | request.get("accessConfig", {}),
        "computeConfig": compute,
        "storageConfig": request.get("storageConfig", {"blockStorage": {"enabled": False}}),
        "kubernetesNetworkConfig": kubernetes | request.get("kubernetesNetworkConfig", {}),
        "logging": _logging(request.get("logging", {})),
        "upgradePolicy": request.get("upgradePolicy", {"supportType": "EXTENDED"}),
        "health": {"issues": []},
        "resourcesVpcConfig": {
            "subnetIds": networking["subnetIds"],
            "securityGroupIds": networking.get("securityGroupIds", []),
            "endpointPublicAccess": public,
            "endpointPrivateAccess": networking.get("endpointPrivateAccess", False),
            "publicAccessCidrs": networking.get("publicAccessCidrs", ["0.0.0.0/0"]) if public else [],
        },
    }


def _logging(asked: Document) -> Document:
    enabled = {kind for block in asked.get("clusterLogging", []) if block.get("enabled") for kind in block["types"]}
    groups = (
        (True, [kind for kind in LOG_TYPES if kind in enabled]),
        (False, [k for k in LOG_TYPES if k not in enabled]),
    )
    return {"clusterLogging": [{"types": kinds, "enabled": state} for state, kinds in groups if kinds]}


def _version(value: str) -> str:
    if value not in VERSIONS:
        raise Failure("InvalidParameterException", f"unsupported Kubernetes version {value}")
    return value
