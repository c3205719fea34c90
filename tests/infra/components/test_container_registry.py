"""Tags are never overwritten, images are scanned, and only the stages' accounts pull."""

import json
from dataclasses import replace

import pytest

from aws.owner import Owner
from aws.pull_through import cached_repositories
from components.container_registry import (
    ContainerRegistry,
    ContainerRegistryArgs,
    lifecycle_policy,
)
from recording import Recording, record

OWNER = Owner("shared", "123456789012", "eu-central-1")
ARGS = ContainerRegistryArgs(
    owner=OWNER,
    repositories=["classifier", "team/tool"],
    upstreams=["quay.io", "public.ecr.aws"],
    other_accounts=[],
    untagged_days=14,
    protect=True,
)
OTHER = "210987654321"
TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: ContainerRegistry("ecr", ARGS))


@pytest.fixture(scope="module")
def across_accounts() -> Recording:
    return record(lambda: ContainerRegistry("ecr", replace(ARGS, other_accounts=[OTHER])))


def test_each_repository_is_immutable_scanned_encrypted_and_protected(recorded: Recording) -> None:
    for name, repository in (("ecr-classifier", "classifier"), ("ecr-team-tool", "team/tool")):
        found = recorded.one("aws:ecr/repository:Repository", name)
        assert found.inputs == {
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
            "forceDelete": False,
            "imageScanningConfiguration": {"scanOnPush": True},
            "imageTagMutability": "IMMUTABLE",
            "name": repository,
            "tags": OWNER.tags("container-registry"),
        }
        assert found.protect
    assert {item.type for item in recorded if item.protect} == {"aws:ecr/repository:Repository"}


def test_images_without_a_tag_go_and_those_with_one_stay() -> None:
    (rule,) = json.loads(lifecycle_policy(14))["rules"]
    assert rule["selection"] == {
        "countNumber": 14,
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "tagStatus": "untagged",
    }


def test_every_upstream_is_cached_below_its_own_name(recorded: Recording) -> None:
    rules = recorded.of("aws:ecr/pullThroughCacheRule:PullThroughCacheRule")
    assert {item.inputs["ecrRepositoryPrefix"]: item.inputs["upstreamRegistryUrl"] for item in rules} == {
        "quay.io": "quay.io",
        "public.ecr.aws": "public.ecr.aws",
    }


def test_what_a_cache_creates_is_like_the_rest(recorded: Recording) -> None:
    inputs = recorded.one(TEMPLATE, "ecr-quay.io").inputs
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["appliedFors"] == ["PULL_THROUGH_CACHE"]
    assert inputs["resourceTags"] == OWNER.tags("container-registry")
    assert inputs["customRoleArn"] == "arn:aws:test:::ecr-creator"
    (rule,) = recorded.one("aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration", "ecr").inputs["rules"]
    assert rule == {
        "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}],
        "scanFrequency": "SCAN_ON_PUSH",
    }


def test_a_rule_waits_for_its_template(recorded: Recording) -> None:
    rule = recorded.one("aws:ecr/pullThroughCacheRule:PullThroughCacheRule", "ecr-quay.io")
    assert recorded.one(TEMPLATE, "ecr-quay.io").urn in rule.dependencies


def test_ecr_creates_cached_repositories_only(recorded: Recording) -> None:
    (statement,) = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy", "ecr-creator").inputs["policy"])[
        "Statement"
    ]
    assert statement["Resource"] == cached_repositories("123456789012", "eu-central-1", ["quay.io", "public.ecr.aws"])


def test_in_one_account_nobody_else_is_let_in(recorded: Recording) -> None:
    assert not recorded.of("aws:ecr/repositoryPolicy:RepositoryPolicy")
    assert not recorded.of("aws:ecr/registryPolicy:RegistryPolicy")
    assert all("repositoryPolicy" not in item.inputs for item in recorded.of(TEMPLATE))


def test_other_accounts_pull_and_do_nothing_else(across_accounts: Recording) -> None:
    policies = [item.inputs["policy"] for item in across_accounts.of("aws:ecr/repositoryPolicy:RepositoryPolicy")]
    policies += [item.inputs["repositoryPolicy"] for item in across_accounts.of(TEMPLATE)]
    assert len(policies) == 4
    for policy in policies:
        (statement,) = json.loads(policy)["Statement"]
        assert statement["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER}:root"]}
        assert set(statement["Action"]) == {
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
        }
    (registry,) = across_accounts.of("aws:ecr/registryPolicy:RegistryPolicy")
    (statement,) = json.loads(registry.inputs["policy"])["Statement"]
    assert statement["Principal"] == {"AWS": [f"arn:aws:iam::{OTHER}:root"]}
    assert statement["Resource"] == cached_repositories("123456789012", "eu-central-1", ARGS.upstreams)


def test_two_instances_share_no_name() -> None:
    recorded = record(lambda: (ContainerRegistry("one", ARGS), ContainerRegistry("two", ARGS)))
    assert len(set(recorded.urns())) == len(recorded)
