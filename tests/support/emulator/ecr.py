"""ECR's pull-through cache rules and repository creation templates, which moto lacks."""

import datetime
import threading
from typing import Any

from moto.ecr.models import ECRBackend

from emulator import account
from emulator.account import Where
from emulator.lifecycle import Document
from emulator.wire import Failure

# Upstreams that need no credential; the others need a secret's ARN.
OPEN_UPSTREAMS = ("public.ecr.aws", "quay.io", "registry.k8s.io")
CLOSED_UPSTREAMS = ("registry-1.docker.io", "ghcr.io", "registry.gitlab.com")


def install() -> None:
    """Have moto take what AWS takes in a registry's policy, in this process: filling caches too.

    Source: AWS, "IAM permissions required to sync an upstream registry with an Amazon ECR private registry".
    """
    original = ECRBackend._validate_registry_policy_action

    def validate(self: Any, policy_text: str) -> None:
        original(self, policy_text.replace("ecr:BatchImportUpstreamImage", "ecr:CreateRepository"))

    ECRBackend._validate_registry_policy_action = validate  # type: ignore[method-assign]


class Ecr:
    """The operations, each a method by its name; moto carries out the others."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._rules: dict[tuple[str, str], dict[str, Document]] = {}
        self._templates: dict[tuple[str, str], dict[str, Document]] = {}

    def create_pull_through_cache_rule(self, here: Where, request: Document) -> Document:
        rules, prefix = self._of(self._rules, here), request["ecrRepositoryPrefix"]
        upstream = request["upstreamRegistryUrl"]
        if prefix in rules:
            message = f"A pull through cache rule already exists for this prefix: {prefix}"
            raise Failure("PullThroughCacheRuleAlreadyExistsException", message)
        if upstream not in OPEN_UPSTREAMS + CLOSED_UPSTREAMS:
            raise Failure("UnsupportedUpstreamRegistryException", f"The upstream registry {upstream} is not supported")
        if upstream in CLOSED_UPSTREAMS and "credentialArn" not in request:
            raise Failure("InvalidParameterException", f"The upstream registry {upstream} needs a credentialArn")
        rule = {**request, "createdAt": _now(), "registryId": here.account}
        rules[prefix] = rule | {"updatedAt": rule["createdAt"]}
        return rule

    def describe_pull_through_cache_rules(self, here: Where, request: Document) -> Document:
        rules = self._of(self._rules, here)
        wanted = request.get("ecrRepositoryPrefixes")
        for prefix in wanted or ():
            self._rule(here, prefix)
        return {"pullThroughCacheRules": [rules[prefix] for prefix in wanted or rules]}

    def delete_pull_through_cache_rule(self, here: Where, request: Document) -> Document:
        rule = self._rule(here, request["ecrRepositoryPrefix"])
        del self._of(self._rules, here)[request["ecrRepositoryPrefix"]]
        shown = ("ecrRepositoryPrefix", "upstreamRegistryUrl", "createdAt", "registryId")
        return {key: rule[key] for key in shown}

    def create_repository_creation_template(self, here: Where, request: Document) -> Document:
        templates, prefix = self._of(self._templates, here), request["prefix"]
        if prefix in templates:
            raise Failure("TemplateAlreadyExistsException", f"A template already exists for prefix: {prefix}")
        _check(request)
        templates[prefix] = {"imageTagMutability": "MUTABLE", **request, "createdAt": _now(), "updatedAt": _now()}
        return {"registryId": here.account, "repositoryCreationTemplate": templates[prefix]}

    def update_repository_creation_template(self, here: Where, request: Document) -> Document:
        template = self._template(here, request["prefix"])
        _check(template | request)
        template |= request | {"updatedAt": _now()}
        return {"registryId": here.account, "repositoryCreationTemplate": template}

    def describe_repository_creation_templates(self, here: Where, request: Document) -> Document:
        templates = self._of(self._templates, here)
        wanted = request.get("prefixes")
        # AWS leaves out prefixes that it does not know.
        found = [templates[prefix] for prefix in (templates if wanted is None else wanted) if prefix in templates]
        return {"registryId": here.account, "repositoryCreationTemplates": found}

    def delete_repository_creation_template(self, here: Where, request: Document) -> Document:
        template = self._template(here, request["prefix"])
        del self._of(self._templates, here)[request["prefix"]]
        return {"registryId": here.account, "repositoryCreationTemplate": template}

    def _of(self, kept: dict[tuple[str, str], dict[str, Document]], here: Where) -> dict[str, Document]:
        return kept.setdefault((here.account, here.region), {})

    def _rule(self, here: Where, prefix: str) -> Document:
        rules = self._of(self._rules, here)
        if prefix not in rules:
            message = f"The pull through cache rule with prefix {prefix} does not exist"
            raise Failure("PullThroughCacheRuleNotFoundException", message)
        return rules[prefix]

    def _template(self, here: Where, prefix: str) -> Document:
        templates = self._of(self._templates, here)
        if prefix not in templates:
            raise Failure("TemplateNotFoundException", f"The template for prefix {prefix} does not exist")
        return templates[prefix]


def _check(template: Document) -> None:
    """Refuse what ECR refuses. Raises Failure."""
    needs_role = (
        template.get("resourceTags") or template.get("encryptionConfiguration", {}).get("encryptionType") == "KMS"
    )
    role = template.get("customRoleArn")
    if needs_role and not role:
        raise Failure("InvalidParameterException", "customRoleArn is needed for resourceTags and for KMS")
    if role and not account.role_exists(role):
        raise Failure("InvalidParameterException", f"The role {role} does not exist")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
