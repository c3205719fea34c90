"""IAM: roles and their policies, policies of their own, and OpenID Connect providers."""

from collections.abc import Iterator
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, absent
from plugins.aws.fields import local, pascal
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import iam

# AWS keeps five versions of a policy.
VERSIONS_KEPT = 4
OIDC: dict[str, Any] = {"OpenIDConnectProviderArn": "{id}"}


def _delete_role(thing: Thing) -> None:
    """EKS makes instance profiles for node roles, which nobody else takes apart."""
    for profile in thing.pages("list_instance_profiles_for_role", "InstanceProfiles", RoleName=thing.id):
        name = profile["InstanceProfileName"]
        thing.call("remove_role_from_instance_profile", InstanceProfileName=name, RoleName=thing.id)
    if thing.inputs.get("forceDetachPolicies"):
        for policy in thing.pages("list_attached_role_policies", "AttachedPolicies", RoleName=thing.id):
            thing.call("detach_role_policy", RoleName=thing.id, PolicyArn=policy["PolicyArn"])
        for name in thing.pages("list_role_policies", "PolicyNames", RoleName=thing.id):
            thing.call("delete_role_policy", RoleName=thing.id, PolicyName=name)
    thing.call("delete_role", RoleName=thing.id)


def _attachment(thing: Thing) -> dict[str, Any]:
    role = str(thing.inputs["role"])
    for policy in thing.pages("list_attached_role_policies", "AttachedPolicies", RoleName=role):
        if policy["PolicyArn"] == thing.inputs["policyArn"]:
            return {"RoleName": role, **policy}
    raise absent(thing)


def _document(thing: Thing) -> dict[str, Any]:
    """A policy's text, which is in its default version."""
    of = {"PolicyArn": thing.id, "VersionId": thing.live["DefaultVersionId"]}
    return {"PolicyDocument": thing.call("get_policy_version", **of)["PolicyVersion"]["Document"]}


def _new_document(thing: Thing) -> None:
    others = _other_versions(thing)
    for version in sorted(others, key=lambda one: str(one["CreateDate"]))[: max(0, len(others) + 1 - VERSIONS_KEPT)]:
        thing.call("delete_policy_version", PolicyArn=thing.id, VersionId=version["VersionId"])
    thing.call("create_policy_version", PolicyArn=thing.id, SetAsDefault=True, **thing.wanted("policy"))


def _delete_policy(thing: Thing) -> None:
    for version in _other_versions(thing):
        thing.call("delete_policy_version", PolicyArn=thing.id, VersionId=version["VersionId"])
    thing.call("delete_policy", PolicyArn=thing.id)


def _other_versions(thing: Thing) -> list[dict[str, Any]]:
    versions = thing.pages("list_policy_versions", "Versions", PolicyArn=thing.id)
    return [version for version in versions if not version["IsDefaultVersion"]]


def _change_clients(thing: Thing) -> None:
    before, after = set(thing.olds.get("clientIdLists") or ()), set(thing.inputs.get("clientIdLists") or ())
    for client in sorted(after - before):
        thing.call("add_client_id_to_open_id_connect_provider", OpenIDConnectProviderArn=thing.id, ClientID=client)
    for client in sorted(before - after):
        thing.call("remove_client_id_from_open_id_connect_provider", OpenIDConnectProviderArn=thing.id, ClientID=client)


def _with_arn(thing: Thing) -> dict[str, Any]:
    return {**Describe("get_open_id_connect_provider", **OIDC)(thing), "Arn": thing.id}


def _provider_arn(thing: Thing) -> Iterator[str]:
    yield thing.fill("arn:{partition}:iam::{account}:oidc-provider/") + thing.inputs["url"].removeprefix("https://")


TYPES = (
    Type(
        "aws:iam/role:Role",
        "iam",
        (
            pascal("name", "RoleName", fixed=True),
            pascal("path", fixed=True, default="/"),
            pascal("assumeRolePolicy", "AssumeRolePolicyDocument", kind="document", required=True),
            pascal("description", default=""),
            pascal("maxSessionDuration", default=3600),
            pascal("permissionsBoundary", live="PermissionsBoundary.PermissionsBoundaryArn"),
            local("forceDetachPolicies"),
        ),
        create=Call("create_role", body=True),
        identifier="Role.RoleName",
        created="Role",
        read=(Describe("get_role", "Role", RoleName="{id}"),),
        changes=(
            Change(
                ("assumeRolePolicy",),
                lambda thing: thing.call(
                    "update_assume_role_policy", RoleName=thing.id, PolicyDocument=thing.inputs["assumeRolePolicy"]
                ),
            ),
            Change(
                ("description", "maxSessionDuration"),
                Call("update_role", body=("description", "maxSessionDuration"), RoleName="{id}"),
            ),
            Change(
                ("permissionsBoundary",),
                Call("put_role_permissions_boundary", body=("permissionsBoundary",), RoleName="{id}"),
                unset=Call("delete_role_permissions_boundary", RoleName="{id}"),
            ),
        ),
        delete=_delete_role,
        outputs={"arn": "Arn", "uniqueId": "RoleId"},
        tagging=iam("role", RoleName="{id}"),
        auto=Auto(limit=64),
        unique=("name",),
        search=lambda thing: [thing.inputs["name"]],
    ),
    Type(
        "aws:iam/rolePolicy:RolePolicy",
        "iam",
        (
            pascal("role", "RoleName", fixed=True, required=True),
            pascal("name", "PolicyName", fixed=True),
            pascal("policy", "PolicyDocument", kind="document", required=True),
        ),
        create=Call("put_role_policy", body=True),
        identifier="{role}:{name}",
        created="",
        read=(Describe("get_role_policy", RoleName="{role}", PolicyName="{name}"),),
        changes=(Change(("policy",), Call("put_role_policy", body=("role", "name", "policy"))),),
        delete=Call("delete_role_policy", body=("role", "name")),
        auto=Auto(limit=128),
        unique=("role", "name"),
    ),
    Type(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "iam",
        (pascal("role", "RoleName", fixed=True, required=True), pascal("policyArn", fixed=True, required=True)),
        create=Call("attach_role_policy", body=True),
        identifier="{role}/{policyArn}",
        created="",
        read=(_attachment,),
        delete=Call("detach_role_policy", body=("role", "policyArn")),
        unique=("role", "policyArn"),
    ),
    Type(
        "aws:iam/policy:Policy",
        "iam",
        (
            pascal("name", "PolicyName", fixed=True),
            pascal("path", fixed=True, default="/"),
            pascal("description", fixed=True, default=""),
            pascal("policy", "PolicyDocument", kind="document", required=True),
        ),
        create=Call("create_policy", body=True),
        identifier="Policy.Arn",
        created="Policy",
        read=(Describe("get_policy", "Policy", PolicyArn="{id}"), _document),
        changes=(Change(("policy",), _new_document),),
        delete=_delete_policy,
        outputs={"arn": "Arn", "policyId": "PolicyId"},
        tagging=iam("policy", PolicyArn="{id}"),
        auto=Auto(limit=128),
        unique=("name", "path"),
        search=lambda thing: [
            thing.fill("arn:{partition}:iam::{account}:policy")
            + (thing.inputs.get("path") or "/")
            + thing.inputs["name"]
        ],
    ),
    Type(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        "iam",
        (
            # AWS takes an address and tells it without its scheme.
            pascal("url", fixed=True, required=True, decode=lambda url: f"https://{url.removeprefix('https://')}"),
            pascal("clientIdLists", "ClientIDList", kind="set", required=True),
            pascal("thumbprintLists", "ThumbprintList", kind="set"),
        ),
        create=Call("create_open_id_connect_provider", body=True),
        identifier="OpenIDConnectProviderArn",
        created="",
        read=(_with_arn,),
        changes=(
            Change(("clientIdLists",), _change_clients),
            Change(
                ("thumbprintLists",),
                Call("update_open_id_connect_provider_thumbprint", body=("thumbprintLists",), **OIDC),
            ),
        ),
        delete=Call("delete_open_id_connect_provider", **OIDC),
        outputs={"arn": "{id}"},
        tagging=iam("open_id_connect_provider", **OIDC),
        unique=("url",),
        search=_provider_arn,
    ),
)
