"""ECR: repositories, what is set for a whole registry, and pull-through caches."""

from collections.abc import Iterable
from typing import Any

from plugins.aws.calls import Call, Change, Describe, Thing, absent
from plugins.aws.fields import UNLISTED, camel, local
from plugins.aws.row import Auto, Type
from plugins.aws.tagging import by_arn, pairs, unpaired
from plugins.server import Problem

REPOSITORY: dict[str, Any] = {"repositoryName": "{id}"}
ENCRYPTION = camel(
    "encryptionConfigurations",
    "encryptionConfiguration",
    kind="objects",
    fields=(camel("encryptionType"), camel("kmsKey")),
    **UNLISTED,
)
REGISTRY_SCANNING = Describe("get_registry_scanning_configuration", "scanningConfiguration")


def _policy(token: str, member: str, read: str, put: str, delete: str) -> Type:
    """A document that a repository has one of."""
    step = Call(put, body=("repository", "policy"))
    return Type(
        f"aws:ecr/{token[:1].lower()}{token[1:]}:{token}",
        "ecr",
        (
            camel("repository", "repositoryName", fixed=True, required=True),
            camel("policy", member, kind="document", required=True),
        ),
        create=step,
        identifier="{repository}",
        created="",
        read=(Describe(read, **REPOSITORY),),
        changes=(Change(("policy",), step),),
        delete=Call(delete, **REPOSITORY),
        unique=("repository",),
    )


def _registry(thing: Thing) -> dict[str, Any]:
    """What is set for a registry is known by the registry's own number, the account."""
    return {"registryId": thing.aws.account}


def _scanning(thing: Thing) -> dict[str, Any]:
    found = REGISTRY_SCANNING(thing)
    if found.get("scanType", "BASIC") == "BASIC" and not found.get("rules"):
        raise absent(thing)  # what every registry has from the start
    return found


def _put_registry_policy(thing: Thing) -> dict[str, Any]:
    Call("put_registry_policy", body=("policy",))(thing)
    return _registry(thing)


def _put_scanning(thing: Thing) -> dict[str, Any]:
    thing.call("put_registry_scanning_configuration", **{"rules": [], **thing.wanted("scanType", "rules")})
    return _registry(thing)


def _single(inputs: dict[str, Any]) -> Iterable[Problem]:
    given = inputs.get("encryptionConfigurations")
    if isinstance(given, list) and len(given) > 1:
        yield Problem("encryptionConfigurations", f"has {len(given)} entries; ECR takes one")


REPOSITORY_FIELDS = (
    camel("imageTagMutability", default="MUTABLE"),
    camel("imageScanningConfiguration", fields=(camel("scanOnPush", required=True),)),
)
TEMPLATE_FIELDS = (
    camel("description"),
    camel("appliedFors", "appliedFor", kind="set", required=True),
    camel("imageTagMutability", default="MUTABLE"),
    ENCRYPTION,
    camel("lifecyclePolicy", kind="document"),
    camel("repositoryPolicy", kind="document"),
    camel("customRoleArn"),
    camel("resourceTags", kind="map", encode=pairs, decode=unpaired, default={}),
)
TEMPLATE_NAMES = tuple(one.name for one in TEMPLATE_FIELDS)

TYPES = (
    Type(
        "aws:ecr/repository:Repository",
        "ecr",
        (
            camel("name", "repositoryName", fixed=True),
            *REPOSITORY_FIELDS,
            camel(
                "encryptionConfigurations",
                "encryptionConfiguration",
                kind="objects",
                fields=ENCRYPTION.fields,
                fixed=True,
                **UNLISTED,
            ),
            local("forceDelete", default=False),
        ),
        create=Call("create_repository", body=True),
        identifier="{name}",
        created="repository",
        read=(Describe("describe_repositories", "repositories.0", repositoryNames=["{id}"]),),
        changes=(
            Change(
                ("imageTagMutability",), Call("put_image_tag_mutability", body=("imageTagMutability",), **REPOSITORY)
            ),
            Change(
                ("imageScanningConfiguration",),
                Call("put_image_scanning_configuration", body=("imageScanningConfiguration",), **REPOSITORY),
                unset=Call(
                    "put_image_scanning_configuration", **REPOSITORY, imageScanningConfiguration={"scanOnPush": False}
                ),
            ),
        ),
        delete=lambda thing: thing.call(
            "delete_repository", repositoryName=thing.id, force=bool(thing.inputs.get("forceDelete"))
        ),
        outputs={"arn": "repositoryArn", "registryId": "registryId", "repositoryUrl": "repositoryUri"},
        tagging=by_arn("{repositoryArn}", as_pairs=True, read=True),
        auto=Auto(limit=256),
        unique=("name",),
        also=_single,
    ),
    _policy(
        "LifecyclePolicy",
        "lifecyclePolicyText",
        "get_lifecycle_policy",
        "put_lifecycle_policy",
        "delete_lifecycle_policy",
    ),
    _policy(
        "RepositoryPolicy",
        "policyText",
        "get_repository_policy",
        "set_repository_policy",
        "delete_repository_policy",
    ),
    Type(
        "aws:ecr/registryPolicy:RegistryPolicy",
        "ecr",
        (camel("policy", "policyText", kind="document", required=True),),
        create=_put_registry_policy,
        identifier="registryId",
        created="",
        read=(Describe("get_registry_policy"),),
        changes=(Change(("policy",), _put_registry_policy),),
        delete=Call("delete_registry_policy"),
        outputs={"registryId": "{id}"},
        search=lambda thing: [thing.aws.account],
    ),
    Type(
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
        "ecr",
        (
            camel("scanType", required=True),
            camel(
                "rules",
                kind="objects",
                default=[],
                fields=(
                    camel("scanFrequency", required=True),
                    camel(
                        "repositoryFilters",
                        kind="objects",
                        fields=(camel("filter", required=True), camel("filterType", required=True)),
                        required=True,
                    ),
                ),
            ),
        ),
        create=_put_scanning,
        identifier="registryId",
        created="",
        read=(_scanning,),
        changes=(Change(("scanType", "rules"), _put_scanning),),
        # There is no call that deletes it: this is what a registry starts with.
        delete=lambda thing: thing.call("put_registry_scanning_configuration", scanType="BASIC", rules=[]),
        outputs={"registryId": "{id}"},
        search=lambda thing: [thing.aws.account],
    ),
    Type(
        "aws:ecr/pullThroughCacheRule:PullThroughCacheRule",
        "ecr",
        (
            camel("ecrRepositoryPrefix", fixed=True, required=True),
            camel("upstreamRegistryUrl", fixed=True, required=True),
            camel("upstreamRepositoryPrefix", fixed=True),
            camel("credentialArn"),
            camel("customRoleArn"),
        ),
        create=Call("create_pull_through_cache_rule", body=True),
        identifier="{ecrRepositoryPrefix}",
        created="",
        read=(
            Describe("describe_pull_through_cache_rules", "pullThroughCacheRules.0", ecrRepositoryPrefixes=["{id}"]),
        ),
        changes=(
            Change(
                ("credentialArn", "customRoleArn"),
                Call("update_pull_through_cache_rule", body=("ecrRepositoryPrefix", "credentialArn", "customRoleArn")),
            ),
        ),
        delete=Call("delete_pull_through_cache_rule", ecrRepositoryPrefix="{id}"),
        unique=("ecrRepositoryPrefix",),
    ),
    Type(
        "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate",
        "ecr",
        (camel("prefix", fixed=True, required=True), *TEMPLATE_FIELDS),
        create=Call("create_repository_creation_template", body=True),
        identifier="{prefix}",
        created="",
        read=(Describe("describe_repository_creation_templates", "repositoryCreationTemplates.0", prefixes=["{id}"]),),
        changes=(
            Change(TEMPLATE_NAMES, Call("update_repository_creation_template", body=("prefix", *TEMPLATE_NAMES))),
        ),
        delete=Call("delete_repository_creation_template", prefix="{id}"),
        unique=("prefix",),
    ),
)
