"""The engine's record becomes a plan; the events are those that CLI 3.258 writes."""

import json
from typing import Any

import pytest

from ci import events
from ci.plan import MOST_STEPS, Step

URN = "urn:pulumi:dev::ml-platform::ml-platform:index:Network$aws:ec2/subnet:Subnet::network-{}"


def line(kind: str, **content: Any) -> str:
    return json.dumps({"sequence": 1, "timestamp": 1, kind: content})


def step(operation: str, name: str = "a", **metadata: Any) -> str:
    state = {"inputs": {"password": "hunter2"}, "outputs": {"password": "hunter2"}}
    about = {"op": operation, "urn": URN.format(name), "old": state, "new": state, "detailedDiff": None, **metadata}
    return line("resourcePreEvent", metadata=about)


def diagnostic(message: str, **more: Any) -> str:
    return line("diagnosticEvent", **{"message": message, "color": "never", "severity": "error", **more})


REPLACE = {
    "keys": ["cidrBlock"],
    "diffs": ["cidrBlock", "tags"],
    "detailedDiff": {
        "cidrBlock": {"diffKind": "update-replace", "inputDiff": True},
        "tags.Owner": {"diffKind": "add", "inputDiff": True},
    },
}


def test_each_change_is_one_step_and_says_what_forces_a_replacement() -> None:
    lines = [
        step("same"),
        step("read", "read"),
        step("create", "new"),
        step("update", "b", diffs=["tags"], detailedDiff={"tags.A": {"diffKind": "update"}}),
        step("create-replacement", "c", **REPLACE),
        step("replace", "c", **REPLACE),
        step("delete-replaced", "c", **REPLACE),
        step("delete", "d"),
        line("summaryEvent", resourceChanges={"same": 40, "create": 1}),
    ]
    plan = events.plan(lines)
    assert plan.steps == [
        Step(action="create", urn=URN.format("new")),
        Step(action="update", urn=URN.format("b"), changed=["tags.A"]),
        Step(action="replace", urn=URN.format("c"), causes=["cidrBlock"], changed=["tags.Owner"]),
        Step(action="delete", urn=URN.format("d")),
    ]
    assert (plan.unchanged, plan.error, plan.policies) == (40, "", [])


def test_without_a_detailed_difference_the_keys_are_the_cause() -> None:
    (found,) = events.plan([step("replace", keys=["zone"], diffs=["zone", "tags"])]).steps
    assert (found.causes, found.changed) == (["zone"], ["tags"])


def test_no_value_is_kept() -> None:
    everything = [
        step("create"),
        step("replace", **REPLACE),
        diagnostic("aws:kms:Key resource 'k': property password value {hunter2} has a problem: too short"),
        line("policyRemediationEvent", before={"password": "hunter2"}, after={"password": "hunter2"}),
    ]
    found = events.plan(everything, "failed").model_dump_json()
    assert "hunter2" not in found
    assert "property password has a problem: too short" in found


def test_policies_are_told_with_their_results() -> None:
    lines = [
        line("policyAnalyzeSummaryEvent", resourceUrn="u", passed=["tags", "tls"], failed=["flow-logs"]),
        line("policyAnalyzeStackSummaryEvent", passed=["public-access"]),
        line(
            "policyEvent",
            resourceUrn=URN.format("a"),
            message="<{%fg 1%}>no flow logs<{%reset%}>\n",
            policyName="flow-logs",
            enforcementLevel="mandatory",
        ),
        line("policyEvent", message="costs money", policyName="nat", enforcementLevel="advisory"),
        diagnostic("ml-platform@v1.0.0 : flow-logs: no flow logs"),
        diagnostic("preview failed"),
    ]
    plan = events.plan(lines, "error: preview failed")
    assert plan.policies == ["flow-logs", "public-access", "tags", "tls"]
    assert [(found.policy, found.level, found.message) for found in plan.violations] == [
        ("flow-logs", "mandatory", "no flow logs"),
        ("nat", "advisory", "costs money"),
    ]
    assert plan.error == "preview failed"
    assert plan.summary == "1 policy violation"


TRACEBACK = """Running program failed:
Traceback (most recent call last):
  File "/work/infra/__main__.py", line 3, in <module>
    boom()

KeyError: 'missing'
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["clusters/dev/cluster.yaml: network: is missing\n"], "clusters/dev/cluster.yaml: network: is missing"),
        (["an unhandled error occurred: clusters/dev: bad\n"], "clusters/dev: bad"),
        ([TRACEBACK], "Running program failed:\nKeyError: 'missing'"),
        (
            ["the plugin's output:" + TRACEBACK.removeprefix("Running program failed:\n")],
            "the plugin's output:\nKeyError: 'missing'",
        ),
        (["one", "one", "two", "update failed"], "one\ntwo"),
        (["update failed"], "update failed"),
        ([], "error: no stack"),
    ],
)
def test_a_failure_says_why_without_a_traceback(said: list[str], reason: str) -> None:
    assert events.plan([diagnostic(text) for text in said], "error: no stack").error == reason


def test_warnings_and_passing_remarks_are_no_reason() -> None:
    lines = [diagnostic("slow", severity="warning"), diagnostic("trying again", ephemeral=True)]
    assert events.plan(lines, "it failed").error == "it failed"
    assert events.plan([diagnostic("an error that was got over")]).error == ""


def test_half_a_record_is_read_as_far_as_it_goes() -> None:
    assert len(events.plan([step("create"), '{"seq', "", "[]", "null"], "killed").steps) == 1


def test_a_huge_record_is_cut_and_says_so() -> None:
    plan = events.plan(step("create", str(number)) for number in range(MOST_STEPS + 5))
    assert (len(plan.steps), plan.more) == (MOST_STEPS, 5)


def test_long_texts_are_cut() -> None:
    found = events.plan([step("create", "x" * 5000), diagnostic("y" * 5000)], "failed")
    assert len(found.steps[0].urn) == 500
    assert len(found.error) == 2000
