"""Nodes may do what joining a cluster takes, and fill ECR's caches; nothing else."""

import json

import pytest

from aws.owner import Owner
from components.node_role import NodeRole, NodeRoleArgs
from recording import Recording, record

OWNER = Owner("dev", "123456789012", "eu-central-1")
CACHED = ["arn:aws:ecr:eu-central-1:123456789012:repository/quay.io/*"]


@pytest.fixture(scope="module")
def recorded() -> Recording:
    def build() -> None:
        NodeRole("one", NodeRoleArgs(OWNER, ["AmazonA", "AmazonB"], CACHED))
        NodeRole("two", NodeRoleArgs(OWNER, ["AmazonA"], []))

    return record(build)


def test_ec2_assumes_it(recorded: Recording) -> None:
    trust = json.loads(recorded.one("aws:iam/role:Role", "one").inputs["assumeRolePolicy"])
    assert [item["Principal"] for item in trust["Statement"]] == [{"Service": "ec2.amazonaws.com"}]


def test_it_has_the_policies_that_are_named(recorded: Recording) -> None:
    attached = {
        item.name: item.inputs["policyArn"] for item in recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    }
    assert attached == {
        "one-AmazonA": "arn:aws:iam::aws:policy/AmazonA",
        "one-AmazonB": "arn:aws:iam::aws:policy/AmazonB",
        "two-AmazonA": "arn:aws:iam::aws:policy/AmazonA",
    }


def test_it_creates_cached_repositories_and_no_others(recorded: Recording) -> None:
    (policy,) = recorded.of("aws:iam/rolePolicy:RolePolicy")
    (statement,) = json.loads(policy.inputs["policy"])["Statement"]
    assert statement["Action"] == ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"]
    assert statement["Resource"] == CACHED


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded) == 8
