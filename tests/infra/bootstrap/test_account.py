"""What is made in an account: everything where the platform has one, each its own part where it has several."""

import json
import runpy
import shutil
from pathlib import Path

import pulumi
import pytest

from aws import trust
from bootstrap import account as accounts
from example import ACCOUNT, CLAIM, EXAMPLE, REGION
from iam_simulator import permits
from recording import Recording, record
from settings import ROOT, SettingsError

DEV, PROD = "222222222222", "333333333333"
PROJECT = "ml-platform-bootstrap"
PROGRAM = ROOT / "infra" / "bootstrap" / "__main__.py"
GOLDEN = Path(__file__).parents[1] / "golden" / "bootstrap.urns"


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: accounts.compose(accounts.load(ACCOUNT, EXAMPLE)), stack=ACCOUNT, project=PROJECT)


def test_the_urns_are_these(recorded: Recording) -> None:
    """A renamed resource is deleted and made anew; where that is meant, an alias or this list says so."""
    assert "\n".join(recorded.urns()) == GOLDEN.read_text().rstrip("\n")


def test_every_resource_has_its_provider_and_its_tags(recorded: Recording) -> None:
    provider = recorded.one("pulumi:providers:aws", "aws")
    assert json.loads(provider.inputs["allowedAccountIds"]) == [ACCOUNT]
    for item in recorded:
        if item.type.startswith("aws:"):
            assert item.provider.startswith(provider.urn), item.urn
    tagged = [item for item in recorded if "tags" in item.inputs]
    assert {item.inputs["tags"]["Environment"] for item in tagged} == {"bootstrap"}
    assert {item.type.rpartition(":")[2] for item in tagged} == {
        "Bucket",
        "Key",
        "OpenIdConnectProvider",
        "Policy",
        "Role",
    }


def test_what_cannot_be_made_again_is_protected(recorded: Recording) -> None:
    protected = {item.type.rpartition(":")[2] for item in recorded if item.protect}
    assert protected == {"Alias", "Bucket", "Key"}


def test_each_role_is_trusted_for_one_thing(recorded: Recording) -> None:
    for key in ("preview", "release", "shared", "dev", "staging", "prod"):
        role = recorded.one("aws:iam/role:Role", f"ci-{key}")
        purpose: trust.Purpose = "preview" if key == "preview" else "deploy"
        document = json.loads(role.inputs["assumeRolePolicy"])
        assert trust.problems(document, CLAIM, purpose) == []
        context = "pull_request" if key == "preview" else f"environment:{key}"
        equals = document["Statement"][0]["Condition"]["StringEquals"]
        assert equals[f"{trust.ISSUER}:sub"] == f"repo:{CLAIM}:{context}"


def test_the_policies_fit(recorded: Recording) -> None:
    """IAM takes 10,240 characters in a role's own policies, 6,144 in a managed one and 2,048 in a trust policy."""
    sizes: dict[str, int] = {}
    for item in recorded.of("aws:iam/rolePolicy:RolePolicy"):
        sizes[item.inputs["role"]] = sizes.get(item.inputs["role"], 0) + len(item.inputs["policy"])
    assert len(sizes) == 6
    assert max(sizes.values()) <= 10_240
    assert max(len(item.inputs["policy"]) for item in recorded.of("aws:iam/policy:Policy")) <= 6_144
    assert max(len(item.inputs["assumeRolePolicy"]) for item in recorded.of("aws:iam/role:Role")) <= 2_048


def test_s31_the_release_may_push_the_apps_images_and_no_other_role_may(recorded: Recording) -> None:
    pushes = {
        item.inputs["role"]: item.inputs["policy"]
        for item in recorded.of("aws:iam/rolePolicy:RolePolicy")
        if 'ecr:PutImage"' in item.inputs["policy"]
    }
    assert list(pushes) == ["ml-platform-release"]
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    assert permits(list(pushes.values()), "ecr:PutImage", f"{repository}/classifier", {})
    assert not permits(list(pushes.values()), "ecr:PutImage", f"{repository}/runner-job", {})


def test_s11_each_stack_has_its_boundary_and_the_old_one_stays_until_all_are_applied(recorded: Recording) -> None:
    policies = recorded.of("aws:iam/policy:Policy")
    assert {item.inputs["name"] for item in policies} == {
        "ml-platform-boundary",
        *(f"ml-platform-boundary-{stack}" for stack in ("shared", "dev", "staging", "prod")),
    }
    # Another description would have IAM make the policy anew, which it refuses while a role has it.
    old = recorded.one("aws:iam/policy:Policy", "ci-boundary").inputs["description"]
    assert old == "The most that any role of the platform's stacks may do"


def test_pulumi_and_ci_are_told_where_things_are(recorded: Recording) -> None:
    assert recorded.outputs["backend"] == f"s3://ml-platform-state-{ACCOUNT}?region={REGION}"
    assert recorded.outputs["roles"]["prod"] == f"arn:aws:iam::{ACCOUNT}:role/ml-platform-deploy-prod"


def test_an_account_of_a_stage_has_its_roles_and_no_state(apart: Path) -> None:
    stage = accounts.load(DEV, apart)
    assert not stage.keeps_state
    assert stage.state.account == ACCOUNT
    assert sorted(accounts.roles(stage)) == ["dev", "preview"]
    made = record(lambda: accounts.compose(stage), stack=DEV, project=PROJECT)
    assert not made.of("ml-platform:index:StateStore")
    assert made.outputs["backend"] == f"s3://ml-platform-state-{ACCOUNT}?region={REGION}"


def test_the_account_of_the_shared_stack_keeps_the_state_of_all(apart: Path) -> None:
    shared = accounts.load(ACCOUNT, apart)
    assert shared.keeps_state
    assert [cluster.name for cluster in shared.clusters] == ["shared", "staging"]
    assert sorted((stage.name, stage.account) for stage in shared.visitors) == [("dev", DEV), ("prod", PROD)]


@pytest.mark.parametrize("number", ["dev", "000000000000", ""])
def test_an_unknown_account_is_refused_and_the_known_ones_are_named(number: str) -> None:
    with pytest.raises(SettingsError, match=f"name the stack after one of: {ACCOUNT}"):
        accounts.load(number, EXAMPLE)


def test_two_platforms_in_one_account_are_refused(apart: Path) -> None:
    """They would share the state's bucket, and deploy each other's clusters by name."""
    for name in ("shared", "staging"):
        shutil.copytree(apart / "clusters" / name, apart / "clusters" / f"{name}2")
        path = apart / "clusters" / f"{name}2" / "cluster.yaml"
        text = path.read_text().replace(f"name: {name}", f"name: {name}2").replace("shared: shared", "shared: shared2")
        path.write_text(text.replace("stages: [dev, staging, prod]", "stages: [staging2]"))
    with pytest.raises(SettingsError, match=f"account: {ACCOUNT} already has the clusters of shared"):
        accounts.load(ACCOUNT, apart)


def test_a_mistake_is_one_message_without_a_traceback() -> None:
    with pytest.raises(pulumi.RunError, match="no cluster file under clusters/ names this account"):
        record(lambda: runpy.run_path(str(PROGRAM)), stack="dev", project=PROJECT)
