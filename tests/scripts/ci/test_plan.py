"""What one job leaves for another is read strictly: the first may run anybody's code."""

import json
from typing import Any

import pytest

from ci.plan import MOST_BYTES, Plan, PlanError, Preview, Step, Violation, parse

SHA, MAIN = "a" * 40, "b" * 40
URN = "urn:pulumi:dev::ml-platform::ml-platform:index:Network$aws:ec2/subnet:Subnet::network-private-0"


def document(**changes: Any) -> bytes:
    return json.dumps({"commit": SHA, "main": MAIN, "stacks": {"dev": {"unchanged": 3}}, **changes}).encode()


def test_what_is_written_is_read() -> None:
    violation = Violation(policy="flow-logs", level="mandatory", urn=URN, message="no flow logs")
    step = Step(action="replace", urn=URN, causes=["cidrBlock"], changed=["tags"])
    written = Preview(commit=SHA, main=MAIN, stacks={"dev": Plan(steps=[step], violations=[violation])})

    assert parse(written.model_dump_json().encode(), SHA) == written
    assert (step.name, step.type) == ("network-private-0", "aws:ec2/subnet:Subnet")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b" " * (MOST_BYTES + 1), "are allowed"),
        (document(commit="c" * 40), "for another commit"),
        (document(commit="main"), "commit"),
        (document(main="$(reboot)"), "main"),
        (document(extra=1), "extra"),
        (document(stacks={"dev": {"unchanged": -1}}), "unchanged"),
        (document(stacks={"dev": {"unchanged": "3"}}), "unchanged"),
        (document(stacks={"dev": {"error": "x" * 3000}}), "error"),
        (document(stacks={"x" * 600: {}}), "stacks"),
        (document(stacks={str(number): {} for number in range(60)}), "stacks"),
        (document(stacks={"dev": {"steps": [{"action": "format", "urn": URN}]}}), "action"),
        (document(stacks={"dev": {"steps": [{"action": "create", "urn": "u" * 600}]}}), "urn"),
        (document(stacks={"dev": {"steps": [{"action": "create", "urn": "u", "value": "secret"}]}}), "value"),
    ],
)
def test_anything_else_is_refused_in_one_line(content: bytes, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse(content, SHA)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_plan_fails_by_its_error_and_by_mandatory_policies_only() -> None:
    advice = Violation(policy="p", level="advisory", message="m")
    assert not Plan(violations=[advice]).failed
    assert Plan(violations=[advice, Violation(policy="p", level="mandatory", message="m")]).failed
    assert Plan(error="no").failed


def test_the_summary_names_what_is_destroyed_first() -> None:
    steps = [Step(action=action, urn=URN) for action in ("create", "create", "update", "replace", "delete")]
    assert Plan(steps=steps).summary == "1 to delete, 1 to replace, 1 to update, 2 to create"
    assert Plan().summary == "no changes"


@pytest.mark.parametrize("urn", ["", "urn", "a::b", "::::::"])
def test_a_name_that_is_no_urn_is_shown_as_it_is(urn: str) -> None:
    step = Step(action="create", urn=urn)
    assert step.name in urn
    assert step.type == ""
