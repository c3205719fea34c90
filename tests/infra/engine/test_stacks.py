"""Each stack's whole life by the real engine: preview, up, nothing more to do, refresh, destroy, and nothing left."""

from pathlib import Path

import pytest

from emulator.inventory import inventory, left_over
from emulator.process import Emulator
from emulator.stacks import Stack, Stacks, aws_stacks

pytestmark = pytest.mark.tools


def live(stack: Stack) -> None:
    """Take a stack that was never applied up; a second `up` and a refresh then find nothing to do."""
    planned = stack.steps()
    assert set(planned) == {"create"}
    stack.pulumi("up", "--yes", "--skip-preview")
    made = [item for item in stack.exported()["resources"] if not item["type"].startswith("pulumi:providers:")]
    assert len(made) == planned["create"] - stack_providers(stack)
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")


def stack_providers(stack: Stack) -> int:
    return sum(item["type"].startswith("pulumi:providers:") for item in stack.exported()["resources"])


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


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_stage(account: Stacks, name: str) -> None:
    stage_lives(account, name)


def test_stage_with_managed_nodes(managed_account: Stacks) -> None:
    stage_lives(managed_account, "dev")


def stage_lives(account: Stacks, name: str) -> None:
    aws = account.aws
    before = inventory(aws)
    stack = account.prepare(name)
    live(stack)
    assert left_over(aws, before)["eks cluster"] == {f"ml-platform-{name}"}
    assert_same_as_state(aws, stack, before)
    die(stack)
    assert left_over(aws, before) == {}
    assert account.changed_files() == ""


def assert_same_as_state(aws: Emulator, stack: Stack, before: dict[str, set[str]]) -> None:
    """What the account has more than before is what the state lists, one by one, for kinds that have an id."""
    there = left_over(aws, before)
    kinds = {
        "aws:ec2/vpc:Vpc": "ec2 vpc",
        "aws:ec2/subnet:Subnet": "ec2 subnet",
        "aws:ec2/natGateway:NatGateway": "ec2 NAT gateway",
        "aws:ec2/eip:Eip": "ec2 address",
        "aws:iam/role:Role": "iam role",
        "aws:cloudwatch/logGroup:LogGroup": "cloudwatch log group",
        "aws:kms/key:Key": "kms key",
        "aws:eks/nodeGroup:NodeGroup": "eks node group",
        "aws:eks/addon:Addon": "eks add-on",
    }
    for token, kind in kinds.items():
        known = {item["id"].replace(":", "/") for item in stack.exported()["resources"] if item["type"] == token}
        assert there.get(kind, set()) == known, kind
