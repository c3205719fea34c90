"""EKS's access entries, access policies and Pod Identity associations: who may do what with a cluster."""

import uuid
from collections.abc import Callable

from emulator import account
from emulator.account import Where
from emulator.eks_state import Kept, now
from emulator.lifecycle import Document
from emulator.wire import Failure

POLICY = "arn:aws:eks::aws:cluster-access-policy/"
CLUSTER_ADMIN = f"{POLICY}AmazonEKSClusterAdminPolicy"
# A policy's groups in the API server; those of Kubernetes' own roles are bound when it starts.
GROUPS = {
    CLUSTER_ADMIN: "system:masters",
    f"{POLICY}AmazonEKSAdminPolicy": "eks:admin",
    f"{POLICY}AmazonEKSEditPolicy": "eks:edit",
    f"{POLICY}AmazonEKSViewPolicy": "eks:view",
}
NODE_TYPES = ("EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX")


class AccessEntries:
    """The operations, a part of Eks."""

    cluster: Callable[[Where, str], tuple[Document, Kept]]

    def create_access_entry(self, here: Where, request: Document) -> Document:
        name, principal = request["clusterName"], request["principalArn"]
        document, kept = self.cluster(here, name)
        if document["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
            raise Failure(
                "InvalidRequestException",
                "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]",
            )
        if principal in kept.entries:
            raise Failure(
                "ResourceInUseException", "The specified access entry resource is already in use on this cluster."
            )
        if not account.principal_exists(principal):
            raise Failure(
                "InvalidParameterException", f"The specified principalArn is invalid: invalid principal {principal}"
            )
        kind = request.get("type", "STANDARD")
        if kind in NODE_TYPES and request.get("kubernetesGroups"):
            raise Failure("InvalidParameterException", f"An entry of type {kind} has no kubernetesGroups")
        entry = _entry(here, name, principal, kind) | {
            key: request[key] for key in ("kubernetesGroups", "tags", "username") if key in request
        }
        kept.entries[principal] = entry
        return {"accessEntry": entry}

    def describe_access_entry(self, here: Where, request: Document) -> Document:
        return {"accessEntry": self._entry(here, request)[1]}

    def list_access_entries(self, here: Where, request: Document) -> Document:
        _, kept = self.cluster(here, request["clusterName"])
        wanted = request.get("associatedPolicyArn")
        return {"accessEntries": [arn for arn in kept.entries if not wanted or wanted in kept.policies.get(arn, {})]}

    def update_access_entry(self, here: Where, request: Document) -> Document:
        _, entry = self._entry(here, request)
        entry |= {key: request[key] for key in ("kubernetesGroups", "username") if key in request}
        entry["modifiedAt"] = now()
        return {"accessEntry": entry}

    def delete_access_entry(self, here: Where, request: Document) -> Document:
        kept, entry = self._entry(here, request)
        del kept.entries[entry["principalArn"]]
        kept.policies.pop(entry["principalArn"], None)
        return {}

    def associate_access_policy(self, here: Where, request: Document) -> Document:
        kept, entry = self._entry(here, request)
        policy = request["policyArn"]
        if policy not in GROUPS:
            raise Failure("InvalidParameterException", f"The policyArn parameter format is not valid: {policy}")
        if entry["type"] != "STANDARD":
            raise Failure("InvalidRequestException", f"An entry of type {entry['type']} takes no policy")
        scope = {"namespaces": []} | request["accessScope"]
        if (scope["type"] == "namespace") != bool(scope["namespaces"]):
            raise Failure("InvalidParameterException", "accessScope: type namespace, and no other, lists namespaces")
        association = {"policyArn": policy, "accessScope": scope, "associatedAt": now(), "modifiedAt": now()}
        kept.policies.setdefault(entry["principalArn"], {})[policy] = association
        return {
            "clusterName": request["clusterName"],
            "principalArn": entry["principalArn"],
            "associatedAccessPolicy": association,
        }

    def list_associated_access_policies(self, here: Where, request: Document) -> Document:
        kept, entry = self._entry(here, request)
        return {
            "clusterName": request["clusterName"],
            "principalArn": entry["principalArn"],
            "associatedAccessPolicies": list(kept.policies.get(entry["principalArn"], {}).values()),
        }

    def disassociate_access_policy(self, here: Where, request: Document) -> Document:
        kept, entry = self._entry(here, request)
        policies = kept.policies.get(entry["principalArn"], {})
        if request["policyArn"] not in policies:
            raise Failure("ResourceNotFoundException", f"The policy {request['policyArn']} is not associated")
        del policies[request["policyArn"]]
        return {}

    def list_access_policies(self, _: Where, __: Document) -> Document:
        return {"accessPolicies": [{"name": arn.removeprefix(POLICY), "arn": arn} for arn in GROUPS]}

    def create_pod_identity_association(self, here: Where, request: Document) -> Document:
        name = request["clusterName"]
        _, kept = self.cluster(here, name)
        pair = (request["namespace"], request["serviceAccount"])
        if any((item["namespace"], item["serviceAccount"]) == pair for item in kept.associations.values()):
            raise Failure("ResourceInUseException", f"Association already exists: {'/'.join(pair)}", clusterName=name)
        if not account.role_exists(request["roleArn"]):
            raise Failure("InvalidParameterException", f"The role {request['roleArn']} does not exist")
        identity = f"a-{uuid.uuid4().hex[:17]}"
        association = {
            "tags": {},
            "disableSessionTags": False,
            **{key: value for key, value in request.items() if key != "clientRequestToken"},
            "associationId": identity,
            "associationArn": here.arn("eks", f"podidentityassociation/{name}/{identity}"),
            "createdAt": now(),
            "modifiedAt": now(),
        }
        kept.associations[identity] = association
        return {"association": association}

    def describe_pod_identity_association(self, here: Where, request: Document) -> Document:
        return {"association": self._association(here, request)[1]}

    def list_pod_identity_associations(self, here: Where, request: Document) -> Document:
        _, kept = self.cluster(here, request["clusterName"])
        wanted = {key: request[key] for key in ("namespace", "serviceAccount") if key in request}
        shown = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        found = [item for item in kept.associations.values() if wanted.items() <= item.items()]
        return {"associations": [{key: item[key] for key in shown} for item in found]}

    def update_pod_identity_association(self, here: Where, request: Document) -> Document:
        _, association = self._association(here, request)
        for key in ("roleArn", "disableSessionTags", "targetRoleArn", "policy"):
            if key in request:
                association[key] = request[key]
        association["modifiedAt"] = now()
        return {"association": association}

    def delete_pod_identity_association(self, here: Where, request: Document) -> Document:
        kept, association = self._association(here, request)
        return {"association": kept.associations.pop(association["associationId"])}

    def admit_creator(self, here: Where, kept: Kept, name: str) -> None:
        """The entry that EKS makes for who creates a cluster, unless told not to."""
        found = account.caller(here.access_key)
        if found is None:
            return
        kept.entries[found.principal] = _entry(here, name, found.principal, "STANDARD")
        scope = {"type": "cluster", "namespaces": []}
        association = {"policyArn": CLUSTER_ADMIN, "accessScope": scope, "associatedAt": now(), "modifiedAt": now()}
        kept.policies[found.principal] = {CLUSTER_ADMIN: association}

    def admit_nodes(self, here: Where, kept: Kept, name: str, role: str, kind: str) -> None:
        """The entry that EKS makes for the role of nodes that it runs."""
        kept.entries.setdefault(role, _entry(here, name, role, kind))

    def _entry(self, here: Where, request: Document) -> tuple[Kept, Document]:
        _, kept = self.cluster(here, request["clusterName"])
        principal = request["principalArn"]
        if principal not in kept.entries:
            message = f"The specified principalArn could not be found: {principal}"
            raise Failure("ResourceNotFoundException", message)
        return kept, kept.entries[principal]

    def _association(self, here: Where, request: Document) -> tuple[Kept, Document]:
        _, kept = self.cluster(here, request["clusterName"])
        identity = request["associationId"]
        if identity not in kept.associations:
            raise Failure("ResourceNotFoundException", f"No association found with ID: {identity}")
        return kept, kept.associations[identity]


def _entry(here: Where, cluster: str, principal: str, kind: str) -> Document:
    _, _, _, _, owner, resource = principal.split(":", 5)
    form, _, who = resource.partition("/")
    return {
        "clusterName": cluster,
        "principalArn": principal,
        "kubernetesGroups": ["system:nodes"] if kind in NODE_TYPES else [],
        "accessEntryArn": here.arn("eks", f"access-entry/{cluster}/{form}/{owner}/{who}/{uuid.uuid4()}"),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": {},
        "username": principal if form == "user" else f"arn:aws:sts::{owner}:assumed-role/{who}/{{{{SessionName}}}}",
        "type": kind,
    }
