"""CI comes in by GitHub's tokens: one provider, a boundary, and a role for each thing it does."""

import json

import pytest

from aws import trust
from aws.owner import Owner
from components.ci_trust import Boundary, CiRole, CiTrust, CiTrustArgs
from recording import Recording, record

ACCOUNT = "123456789012"
TRUST = trust.policy(ACCOUNT, trust.environment("owner/platform", "dev"))
ARGS = CiTrustArgs(
    owner=Owner("bootstrap", ACCOUNT, "eu-central-1"),
    boundaries={"": Boundary("boundary", "all", "{}"), "dev": Boundary("boundary-dev", "of dev", '{"c": 3}')},
    roles={"dev": CiRole("deploy-dev", "Applies dev", TRUST, {"state": '{"a": 1}', "roles": '{"b": 2}'})},
)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: (CiTrust("one", ARGS), CiTrust("two", ARGS)))


def test_the_provider_is_github_for_sts(recorded: Recording) -> None:
    inputs = recorded.one("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "one-github").inputs
    assert inputs["url"] == "https://token.actions.githubusercontent.com"
    assert inputs["clientIdLists"] == ["sts.amazonaws.com"]


def test_the_boundaries_have_the_names_that_stacks_give_to_their_roles(recorded: Recording) -> None:
    assert recorded.one("aws:iam/policy:Policy", "one-boundary").inputs["name"] == "boundary"
    own = recorded.one("aws:iam/policy:Policy", "one-dev-boundary").inputs
    assert (own["name"], own["policy"]) == ("boundary-dev", '{"c": 3}')


def test_a_boundary_is_there_before_a_role_is_told_to_keep_to_it(recorded: Recording) -> None:
    for policy in ("state", "roles"):
        needed = recorded.one("aws:iam/rolePolicy:RolePolicy", f"one-dev-{policy}").dependencies
        assert any(urn.endswith("::one-dev-boundary") for urn in needed)


def test_a_role_has_its_trust_and_its_policies(recorded: Recording) -> None:
    role = recorded.one("aws:iam/role:Role", "one-dev")
    assert json.loads(role.inputs["assumeRolePolicy"]) == TRUST
    assert role.inputs["name"] == "deploy-dev"
    assert any("openIdConnectProvider" in urn for urn in role.dependencies)
    for policy, text in (("state", '{"a": 1}'), ("roles", '{"b": 2}')):
        assert recorded.one("aws:iam/rolePolicy:RolePolicy", f"one-dev-{policy}").inputs["policy"] == text


def test_there_is_no_user_and_no_key(recorded: Recording) -> None:
    assert not [item for item in recorded if "user" in item.type.lower() or "accessKey" in item.type]


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded.urns())
