"""Pull-through cache rules and repository creation templates."""

import json
from typing import Any

import pytest

from emulator.process import Emulator


@pytest.fixture
def ecr(aws: Emulator) -> Any:
    return aws.client("ecr")


def test_pull_through_cache_rules(ecr: Any) -> None:
    ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="quay.io", upstreamRegistryUrl="quay.io")
    with pytest.raises(ecr.exceptions.PullThroughCacheRuleAlreadyExistsException):
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="quay.io", upstreamRegistryUrl="quay.io")
    (rule,) = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["quay.io"])["pullThroughCacheRules"]
    assert (rule["upstreamRegistryUrl"], rule["registryId"]) == ("quay.io", "123456789012")
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="quay.io")
    with pytest.raises(ecr.exceptions.PullThroughCacheRuleNotFoundException):
        ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["quay.io"])


def test_registry_policy_lets_others_fill_caches_and_nothing_wilder(ecr: Any) -> None:
    def policy(*actions: str) -> str:
        statement = {"Sid": "Fill", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}}
        return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Action": actions, "Resource": "*"}]})

    ecr.put_registry_policy(policyText=policy("ecr:BatchImportUpstreamImage", "ecr:CreateRepository"))
    assert "ecr:BatchImportUpstreamImage" in ecr.get_registry_policy()["policyText"]
    ecr.delete_registry_policy()
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="Invalid registry policy"):
        ecr.put_registry_policy(policyText=policy("ecr:DeleteRepository"))


def test_upstreams_that_need_a_credential_or_do_not_exist(ecr: Any) -> None:
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="credentialArn"):
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl="registry-1.docker.io")
    with pytest.raises(ecr.exceptions.UnsupportedUpstreamRegistryException):
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="mine", upstreamRegistryUrl="registry.test")


def test_repository_creation_templates(ecr: Any, role: str) -> None:
    settings = {"prefix": "quay.io", "appliedFor": ["PULL_THROUGH_CACHE"], "imageTagMutability": "IMMUTABLE"}
    with pytest.raises(ecr.exceptions.InvalidParameterException, match="customRoleArn"):
        ecr.create_repository_creation_template(**settings, resourceTags=[{"Key": "a", "Value": "b"}])
    made = ecr.create_repository_creation_template(**settings, customRoleArn=role)["repositoryCreationTemplate"]
    assert settings.items() <= made.items()
    ecr.update_repository_creation_template(prefix="quay.io", description="d")
    found = ecr.describe_repository_creation_templates(prefixes=["quay.io", "other"])["repositoryCreationTemplates"]
    assert [one["description"] for one in found] == ["d"]
    ecr.delete_repository_creation_template(prefix="quay.io")
    with pytest.raises(ecr.exceptions.TemplateNotFoundException):
        ecr.delete_repository_creation_template(prefix="quay.io")
