"""`pulumi up` and `pulumi destroy`, killed with all their plugins at random points, and run again."""

import random

import pytest

from emulator.agreement import disagreements
from emulator.inventory import inventory, left_over
from emulator.stacks import Stacks

pytestmark = [pytest.mark.tools, pytest.mark.faults]

KILLS = 12
# About as many steps as `dev` has; the last kills may meet an `up` that has nothing left to do.
STEPS = 110


def test_killed_ups_and_destroys_leave_no_orphan(account: Stacks, seed: int) -> None:
    aws, chance = account.aws, random.Random(seed)
    before = inventory(aws)
    stack = account.prepare("dev")
    points = sorted(chance.sample(range(1, STEPS), KILLS))
    said: list[str] = []
    met = 0
    for done, point in zip([0, *points], points, strict=False):
        met += stack.killed("up", point - done, chance.uniform(0, 0.4)) >= point - done
        said += stack.resolve()
        assert not stack.exported().get("pending_operations")
        assert disagreements(aws, stack.exported()["resources"], before) == {}, f"killed at step {point}:\n{said}"
    assert met >= 10
    assert sum("Releasing the lock" in line for line in said) >= 10
    assert any("was created; putting it into the state" in line for line in said), said
    stack.pulumi("up", "--yes", "--skip-preview")
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    for _ in range(4):
        stack.killed("destroy", chance.randrange(1, 30), chance.uniform(0, 0.4))
        stack.resolve()
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert left_over(aws, before) == {}
