"""Each stack's whole life by the real engine: preview, up, nothing more to do, refresh, destroy, and nothing left."""

from pathlib import Path

import pytest

from emulator.agreement import disagreements
from emulator.inventory import inventory, left_over
from emulator.process import Emulator
from emulator.stacks import Stack, Stacks, aws_stacks
from example import ACCOUNT

pytestmark = pytest.mark.tools
OTHER = "210987654321"


def live(stack: Stack) -> None:
    """Take a stack that was never applied up; a second `up` and a refresh then find nothing to do."""
    planned = stack.steps()
    assert set(planned) == {"create"}
    stack.pulumi("up", "--yes", "--skip-preview")
    # The reference to another stack, and the provider that reads it, are no steps.
    made = [item["urn"] for item in stack.exported()["resources"]]
    made = [urn for urn in made if "pulumi:StackReference" not in urn and "pulumi:providers:pulumi" not in urn]
    assert len(made) == planned["create"]
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")


def die(stack: Stack) -> None:
    """Take everything down, after the act that says so for what is protected."""
    if any(item.get("protect") for item in stack.exported()["resources"]):
        refused = stack.pulumi("destroy", "--yes", "--skip-preview", check=False)
        assert refused.returncode != 0
        assert "protected" in refused.stdout + refused.stderr
        stack.pulumi("state", "unprotect", "--all", "--yes")
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert stack.exported().get("resources", []) == []


def test_shared(tmp_path: Path) -> None:
    with aws_stacks(tmp_path, {}) as stacks:
        before = inventory(stacks.aws)
        shared = stacks.prepare("shared")
        live(shared)
        assert left_over(stacks.aws, before).keys() >= {"ecr repository", "ecr pull-through rule", "s3 bucket"}
        die(shared)
        assert left_over(stacks.aws, before) == {}
        assert stacks.changed_files() == ""


_BY_NAME = [pytest.param(name, marks=pytest.mark.infrastructure) for name in ("staging", "prod")]


@pytest.mark.parametrize("name", ["dev", *_BY_NAME])
def test_stage(account: Stacks, name: str) -> None:
    stage_lives(account, name, account.aws)


@pytest.mark.infrastructure
def test_stage_with_an_account_of_its_own(tmp_path: Path) -> None:
    """Its state is in the shared account, whose registry and buckets let it in."""
    administrator = f"arn:aws:iam::{OTHER}:role/platform-engineer"
    apart = {"account": OTHER, "kubernetes": {"administrators": [administrator]}}
    with aws_stacks(tmp_path, {"prod": apart}) as stacks:
        before = inventory(stacks.aws)
        shared = stacks.prepare("shared")
        live(shared)
        assert stacks.aws.client("ecr").get_registry_policy()["registryId"] == ACCOUNT
        made = inventory(stacks.aws)
        stage_lives(stacks, "prod", stacks.aws.within(OTHER))
        assert left_over(stacks.aws, made) == {}
        die(shared)
        assert left_over(stacks.aws, before) == {}


@pytest.mark.infrastructure
def test_stage_with_managed_nodes(managed_account: Stacks) -> None:
    stage_lives(managed_account, "dev", managed_account.aws)


def stage_lives(stacks: Stacks, name: str, aws: Emulator) -> None:
    """The whole life of a stage in its account, as its administrator sees it there."""
    before = inventory(aws)
    stack = stacks.prepare(name)
    live(stack)
    assert left_over(aws, before)["eks cluster"] == {f"ml-platform-{name}"}
    assert disagreements(aws, stack.exported()["resources"], before) == {}
    die(stack)
    assert left_over(aws, before) == {}
    assert stacks.changed_files() == ""
