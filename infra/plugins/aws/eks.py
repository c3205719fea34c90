"""EKS: clusters, node groups, add-ons, and who may enter."""

from collections.abc import Iterator
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Step, Thing, Wait, absent
from plugins.aws.fields import ABSENT, LISTED, camel, dig, local
from plugins.aws.row import POLL_GROWTH, POLL_MOST_SECONDS, POLL_SECONDS, Auto, Type
from plugins.aws.tagging import by_arn
from plugins.server import ProviderError

IN_CLUSTER: dict[str, Any] = {"clusterName": "{clusterName}"}
CLUSTER_NAME = camel("clusterName", fixed=True, required=True)
WORKING = ("CREATING", "UPDATING")
ENABLED = (camel("enabled"),)


def _update(operation: str, *names: str, **parameters: str) -> Step:
    """An update that EKS works on for minutes, one at a time for a cluster."""

    def run(thing: Thing) -> None:
        _follow(thing, Call(operation, body=names, **parameters)(thing))

    return run


def _follow(thing: Thing, answer: dict[str, Any]) -> None:
    """Wait for an update. Raises ProviderError when it fails."""
    about = {"name": thing.inputs.get("clusterName") or thing.id, "updateId": answer["update"]["id"]}
    for key, name in (("nodegroupName", "nodeGroupName"), ("addonName", "addonName")):
        if name in thing.inputs:
            about[key] = thing.inputs[name]
    update, interval = answer["update"], POLL_SECONDS
    while update["status"] == "InProgress":
        if not thing.deadline.wait(interval):
            raise ProviderError(f"{thing.subject}: its update takes more than {thing.deadline.seconds:.0f} s")
        update, interval = (
            thing.call("describe_update", **about)["update"],
            min(interval * POLL_GROWTH, POLL_MOST_SECONDS),
        )
    if update["status"] != "Successful":
        errors = "; ".join(str(error.get("errorMessage")) for error in update.get("errors", []))
        raise ProviderError(f"{thing.subject}: its update is {update['status']}: {errors}")


def _logging(types: list[str]) -> list[dict[str, Any]]:
    every = ("api", "audit", "authenticator", "controllerManager", "scheduler")
    settings = ((True, sorted(types)), (False, [one for one in every if one not in types]))
    return [{"types": names, "enabled": enabled} for enabled, names in settings if names]


def _logged(settings: list[dict[str, Any]]) -> list[str]:
    return [name for setting in settings if setting.get("enabled") for name in setting.get("types", [])]


def _configure_network(thing: Thing) -> None:
    """The endpoint and the subnets of a cluster are two updates."""
    before, after = thing.olds.get("vpcConfig") or {}, thing.inputs["vpcConfig"]
    whole = thing.wanted("vpcConfig")["resourcesVpcConfig"]
    for names in (
        ("endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"),
        ("subnetIds", "securityGroupIds"),
    ):
        if any(before.get(name) != after.get(name) for name in names):
            part = {name: whole[name] for name in names if name in whole}
            _follow(thing, thing.call("update_cluster_config", name=thing.id, resourcesVpcConfig=part))


def _configure_access(thing: Thing) -> None:
    mode = {"authenticationMode": thing.inputs["accessConfig"]["authenticationMode"]}
    _follow(thing, thing.call("update_cluster_config", name=thing.id, accessConfig=mode))


def _configure_auto_mode(thing: Thing) -> None:
    """EKS takes the three switches of Auto Mode together or not at all."""
    wanted = thing.wanted("computeConfig", "kubernetesNetworkConfig", "storageConfig")
    network = wanted.pop("kubernetesNetworkConfig", {})
    balancing = {key: network[key] for key in ("elasticLoadBalancing",) if key in network}
    if balancing:
        wanted["kubernetesNetworkConfig"] = balancing
    _follow(thing, thing.call("update_cluster_config", name=thing.id, **wanted))


def _change_nodes(thing: Thing) -> None:
    """Labels and taints change by what comes and what goes."""
    body = thing.wanted("scalingConfig", "updateConfig", "nodeRepairConfig")
    before, after = thing.olds.get("labels") or {}, thing.inputs.get("labels") or {}
    if before != after:
        body["labels"] = {"addOrUpdateLabels": after, "removeLabels": sorted(before.keys() - after.keys())}
    old, new = thing.olds.get("taints") or [], thing.inputs.get("taints") or []
    if old != new:
        kept = {(item["key"], item["effect"]) for item in new}
        gone = [item for item in old if (item["key"], item["effect"]) not in kept]
        body["taints"] = {"addOrUpdateTaints": new, "removeTaints": gone}
    of = {"clusterName": thing.inputs["clusterName"], "nodegroupName": thing.inputs["nodeGroupName"]}
    _follow(thing, thing.call("update_nodegroup_config", **of, **body))


def _change_node_version(thing: Thing) -> None:
    names = ("clusterName", "nodeGroupName", "version", "releaseVersion", "launchTemplate")
    force = {"force": True} if thing.inputs.get("forceUpdateVersion") else {}
    _follow(thing, thing.call("update_nodegroup_version", **thing.wanted(*names), **force))


def _create_addon(thing: Thing) -> dict[str, Any]:
    conflicts = thing.inputs.get("resolveConflictsOnCreate")
    return thing.call("create_addon", **thing.wanted(), **({"resolveConflicts": conflicts} if conflicts else {}))


def _update_addon(thing: Thing) -> None:
    conflicts = thing.inputs.get("resolveConflictsOnUpdate")
    body = thing.wanted("clusterName", "addonName", "addonVersion", "configurationValues", "serviceAccountRoleArn")
    _follow(thing, thing.call("update_addon", **body, **({"resolveConflicts": conflicts} if conflicts else {})))


def _delete_addon(thing: Thing) -> None:
    of = thing.wanted("clusterName", "addonName")
    thing.call("delete_addon", **of, preserve=bool(thing.inputs.get("preserve")))


def _associated(thing: Thing) -> dict[str, Any]:
    of = thing.wanted("clusterName", "principalArn")
    for policy in thing.pages("list_associated_access_policies", "associatedAccessPolicies", **of):
        if policy["policyArn"] == thing.inputs["policyArn"]:
            return {**of, **policy}
    raise absent(thing)


def _identity_associations(thing: Thing) -> Iterator[str]:
    of = thing.wanted("clusterName", "namespace", "serviceAccount")
    for item in thing.pages("list_pod_identity_associations", "associations", **of):
        yield item["associationId"]


def _computed(thing: Thing) -> dict[str, Any]:
    """What a cluster has beyond its inputs, in the shape of the official provider's outputs."""
    network, issuer = thing.live["resourcesVpcConfig"], dig(thing.live, "identity.oidc.issuer")
    return {
        "identities": [] if issuer is ABSENT else [{"oidcs": [{"issuer": issuer}]}],
        "network": {name: network[name] for name in ("clusterSecurityGroupId", "vpcId") if network.get(name)},
    }


TYPES = (
    Type(
        "aws:eks/cluster:Cluster",
        "eks",
        (
            camel("name", fixed=True),
            camel("roleArn", fixed=True, required=True),
            camel("version"),
            camel(
                "vpcConfig",
                "resourcesVpcConfig",
                required=True,
                fields=(
                    camel("subnetIds", kind="set", required=True),
                    camel("securityGroupIds", kind="set", default=[]),
                    camel("endpointPrivateAccess", default=False),
                    camel("endpointPublicAccess", default=True),
                    camel("publicAccessCidrs", kind="set"),
                ),
            ),
            camel(
                "accessConfig",
                fields=(
                    camel("authenticationMode"),
                    camel("bootstrapClusterCreatorAdminPermissions", fixed=True, write_only=True, default=True),
                ),
            ),
            camel(
                "encryptionConfig",
                fixed=True,
                fields=(camel("provider", fields=(camel("keyArn"),)), camel("resources", kind="set")),
                **LISTED,
            ),
            camel(
                "enabledClusterLogTypes",
                "logging.clusterLogging",
                kind="set",
                default=[],
                encode=_logging,
                decode=_logged,
            ),
            camel(
                "kubernetesNetworkConfig",
                fields=(
                    camel("serviceIpv4Cidr", fixed=True),
                    camel("ipFamily", fixed=True, default="ipv4"),
                    camel("elasticLoadBalancing", fields=ENABLED),
                ),
            ),
            camel(
                "computeConfig",
                fields=(*ENABLED, camel("nodePools", kind="set"), camel("nodeRoleArn")),
            ),
            camel("storageConfig", fields=(camel("blockStorage", fields=ENABLED),)),
            camel("upgradePolicy", fields=(camel("supportType"),)),
            camel("deletionProtection", default=False),
            camel("bootstrapSelfManagedAddons", fixed=True, write_only=True, default=True),
        ),
        create=Call("create_cluster", body=True),
        identifier="{name}",
        read=(Describe("describe_cluster", "cluster", name="{id}"), _computed),
        changes=(
            Change(("version",), _update("update_cluster_version", "version", name="{id}")),
            Change(("vpcConfig",), _configure_network),
            Change(("accessConfig",), _configure_access),
            Change(("computeConfig", "kubernetesNetworkConfig", "storageConfig"), _configure_auto_mode),
            Change(
                ("enabledClusterLogTypes",), _update("update_cluster_config", "enabledClusterLogTypes", name="{id}")
            ),
            Change(("upgradePolicy",), _update("update_cluster_config", "upgradePolicy", name="{id}")),
            Change(("deletionProtection",), _update("update_cluster_config", "deletionProtection", name="{id}")),
        ),
        delete=Call("delete_cluster", name="{id}"),
        outputs={
            "arn": "arn",
            "certificateAuthority": "certificateAuthority",
            "endpoint": "endpoint",
            "identities": "identities",
            "vpcConfig": "network",
        },
        tagging=by_arn("{arn}"),
        wait=Wait("status", ready=("ACTIVE",), pending=("PENDING", *WORKING), lingers=True, reason="health.issues"),
        auto=Auto(limit=100),
        unique=("name",),
        patience=3600,
    ),
    Type(
        "aws:eks/nodeGroup:NodeGroup",
        "eks",
        (
            CLUSTER_NAME,
            camel("nodeGroupName", "nodegroupName", fixed=True),
            camel("nodeRoleArn", "nodeRole", fixed=True, required=True),
            camel("subnetIds", "subnets", kind="set", fixed=True, required=True),
            camel("amiType", fixed=True),
            camel("capacityType", fixed=True, default="ON_DEMAND"),
            camel("diskSize", fixed=True),
            camel("instanceTypes", kind="set", fixed=True),
            camel("labels", kind="map", default={}),
            camel("taints", kind="objects", fields=(camel("key"), camel("value"), camel("effect")), default=[]),
            camel("scalingConfig", fields=(camel("minSize"), camel("maxSize"), camel("desiredSize")), required=True),
            camel("updateConfig", fields=(camel("maxUnavailable"), camel("maxUnavailablePercentage"))),
            camel("nodeRepairConfig", fields=ENABLED),
            camel("launchTemplate", fields=(camel("id", fixed=True), camel("name", fixed=True), camel("version"))),
            camel("version"),
            camel("releaseVersion"),
            local("forceUpdateVersion"),
        ),
        create=Call("create_nodegroup", body=True),
        identifier="{clusterName}:{nodeGroupName}",
        read=(Describe("describe_nodegroup", "nodegroup", nodegroupName="{nodeGroupName}", **IN_CLUSTER),),
        changes=(
            Change(("version", "releaseVersion", "launchTemplate"), _change_node_version),
            Change(("labels", "taints", "scalingConfig", "updateConfig", "nodeRepairConfig"), _change_nodes),
        ),
        delete=Call("delete_nodegroup", body=("clusterName", "nodeGroupName")),
        outputs={"arn": "nodegroupArn"},
        tagging=by_arn("{nodegroupArn}"),
        wait=Wait("status", ready=("ACTIVE",), pending=WORKING, lingers=True, reason="health.issues"),
        auto=Auto("nodeGroupName", limit=63),
        unique=("clusterName", "nodeGroupName"),
        patience=3600,
    ),
    Type(
        "aws:eks/addon:Addon",
        "eks",
        (
            CLUSTER_NAME,
            camel("addonName", fixed=True, required=True),
            camel("addonVersion"),
            camel("configurationValues", kind="document"),
            camel("serviceAccountRoleArn"),
            local("resolveConflictsOnCreate"),
            local("resolveConflictsOnUpdate"),
            local("preserve"),
        ),
        create=_create_addon,
        identifier="{clusterName}:{addonName}",
        read=(Describe("describe_addon", "addon", addonName="{addonName}", **IN_CLUSTER),),
        changes=(Change(("addonVersion", "configurationValues", "serviceAccountRoleArn"), _update_addon),),
        delete=_delete_addon,
        outputs={"arn": "addonArn"},
        tagging=by_arn("{addonArn}"),
        wait=Wait("status", ready=("ACTIVE",), pending=(*WORKING, "DEGRADED"), lingers=True, reason="health.issues"),
        unique=("clusterName", "addonName"),
        patience=1200,
    ),
    Type(
        "aws:eks/accessEntry:AccessEntry",
        "eks",
        (
            CLUSTER_NAME,
            camel("principalArn", fixed=True, required=True),
            camel("type", fixed=True, default="STANDARD"),
            camel("kubernetesGroups", kind="set", default=[]),
            camel("userName", "username"),
        ),
        create=Call("create_access_entry", body=True),
        identifier="{clusterName}:{principalArn}",
        created="accessEntry",
        read=(Describe("describe_access_entry", "accessEntry", principalArn="{principalArn}", **IN_CLUSTER),),
        changes=(
            Change(
                ("kubernetesGroups", "userName"),
                Call("update_access_entry", body=("clusterName", "principalArn", "kubernetesGroups", "userName")),
            ),
        ),
        delete=Call("delete_access_entry", body=("clusterName", "principalArn")),
        outputs={"accessEntryArn": "accessEntryArn"},
        tagging=by_arn("{accessEntryArn}"),
        unique=("clusterName", "principalArn"),
    ),
    Type(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "eks",
        (
            CLUSTER_NAME,
            camel("principalArn", fixed=True, required=True),
            camel("policyArn", fixed=True, required=True),
            camel(
                "accessScope",
                required=True,
                fields=(camel("type", fixed=True, required=True), camel("namespaces", fixed=True, kind="set")),
            ),
        ),
        create=Call("associate_access_policy", body=True),
        identifier="{clusterName}#{principalArn}#{policyArn}",
        created="",
        read=(_associated,),
        delete=Call("disassociate_access_policy", body=("clusterName", "principalArn", "policyArn")),
        unique=("clusterName", "principalArn", "policyArn"),
    ),
    Type(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "eks",
        (
            CLUSTER_NAME,
            camel("namespace", fixed=True, required=True),
            camel("serviceAccount", fixed=True, required=True),
            camel("roleArn", required=True),
            camel("targetRoleArn"),
            camel("disableSessionTags", default=False),
        ),
        create=Call("create_pod_identity_association", body=True),
        identifier="association.associationId",
        created="association",
        read=(Describe("describe_pod_identity_association", "association", associationId="{id}", **IN_CLUSTER),),
        changes=(
            Change(
                ("roleArn", "targetRoleArn", "disableSessionTags"),
                Call(
                    "update_pod_identity_association",
                    body=("clusterName", "roleArn", "targetRoleArn", "disableSessionTags"),
                    associationId="{id}",
                ),
            ),
        ),
        delete=Call("delete_pod_identity_association", body=("clusterName",), associationId="{id}"),
        outputs={"associationArn": "associationArn", "associationId": "associationId"},
        tagging=by_arn("{associationArn}"),
        unique=("clusterName", "namespace", "serviceAccount"),
        search=_identity_associations,
    ),
)
