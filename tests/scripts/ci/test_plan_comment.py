"""The comment on infrastructure: golden files (`REFRESH_GOLDEN=1` writes them anew), bounded size, hostile input."""

import os
from pathlib import Path

import pytest

from ci.plan import Plan, Step, Violation
from ci.plan_comment import MOST_TEXT, Report, headline, render

GOLDEN = Path(__file__).parent / "golden"
RUN = "https://forge.example/ml/platform/actions/runs/7"
SHA = "a" * 40


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:dev::ml-platform::ml-platform:index:Network${kind}::{name}"


CHANGES = Plan(
    steps=[
        Step(action="create", urn=urn("aws:ec2/subnet:Subnet", "network-private-c")),
        Step(action="update", urn=urn("aws:ec2/vpc:Vpc", "network"), changed=["tags.Component"]),
        Step(
            action="replace",
            urn=urn("aws:ec2/subnet:Subnet", "network-private-a"),
            causes=["cidrBlock"],
            changed=["tags.Name"],
        ),
        Step(action="delete", urn=urn("aws:ec2/natGateway:NatGateway", "network-b")),
    ],
    unchanged=40,
    policies=["flow-logs", "required-tags"],
)
QUIET = Plan(unchanged=73, policies=["flow-logs", "required-tags"])
REFUSED = Plan(
    steps=[Step(action="create", urn=urn("aws:s3/bucket:Bucket", "data"))],
    unchanged=3,
    policies=["bucket-tls", "required-tags"],
    violations=[
        Violation(policy="required-tags", level="advisory", message="Component is not one of ours."),
        Violation(
            policy="bucket-tls", level="mandatory", urn=urn("aws:s3/bucket:Bucket", "data"), message="requests | open"
        ),
    ],
)
BROKEN = Plan(error="clusters/dev/cluster.yaml: network.zones: has one zone; list two\nsecond")
REPORTS = {
    "infrastructure": Report(SHA, {"shared": QUIET, "dev": CHANGES, "prod": QUIET}, run_url=RUN),
    "infrastructure-refused": Report(SHA, {"shared": REFUSED, "dev": BROKEN}, run_url=RUN, makes_itself=True),
    "infrastructure-missing": Report(SHA, {"dev": QUIET}, "the preview says nothing about prod", RUN),
    "infrastructure-none": Report(SHA, None, "the preview ended with failure: its log says why", RUN),
    "infrastructure-waiting": Report(SHA, None),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_comment_reads_as_agreed(name: str) -> None:
    golden = GOLDEN / f"{name}.md"
    text = render(REPORTS[name])
    if os.environ.get("REFRESH_GOLDEN"):
        golden.write_text(text, encoding="utf-8")

    assert text == golden.read_text(encoding="utf-8")


def test_what_is_destroyed_is_bold_and_comes_first() -> None:
    text = render(REPORTS["infrastructure"])
    order = [text.index(word) for word in ("**delete**", "**replace**", "| update |", "| create |")]
    assert order == sorted(order)
    assert "**`cidrBlock`**, `tags.Name`" in text
    assert "**1 deleted**, **1 replaced**, 1 updated, 1 created, 40 unchanged" in text
    # Only the others are folded.
    assert "**replace**" in text.partition("<details>")[0]


def test_the_status_says_it_in_a_line() -> None:
    plans = REPORTS["infrastructure-refused"].plans
    assert plans is not None
    assert headline(plans) == "shared: 1 policy violation; dev: failed"


HOSTILE = "</details>|`<img src=x onerror=1>` @everyone [x](javascript:1)\n\n# heading <!-- ml-platform:report -->"


def test_text_of_the_pull_request_is_shown_as_text() -> None:
    step = Step(action="replace", urn=f"a::b::c::{HOSTILE}", causes=[HOSTILE], changed=[HOSTILE])
    violation = Violation(policy=HOSTILE, level="mandatory", urn=f"a::b::c::{HOSTILE}", message=HOSTILE)
    plan = Plan(steps=[step], violations=[violation], error=HOSTILE, policies=[HOSTILE])
    text = render(Report(SHA, {"dev": plan}, HOSTILE))

    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    outside_code = "".join(text.split("`")[::2])
    for piece in ("<img", "@everyone", "[x]", "<!--", "\n# heading", "</details>|"):
        assert piece not in outside_code


@pytest.mark.parametrize("action", ["create", "replace"])
@pytest.mark.parametrize("stacks", [1, 4, 50])
def test_it_is_never_longer_than_the_forges_take(action: str, stacks: int) -> None:
    step = Step.model_validate(
        {"action": action, "urn": "a::b::" + "t" * 200 + "::" + "n" * 200, "causes": ["p" * 500] * 20}
    )
    plan = Plan(steps=[step] * 2000, error="e" * 2000, violations=[])
    text = render(Report(SHA, {f"stack-{number}": plan for number in range(stacks)}))
    assert len(text) <= MOST_TEXT + 100
    assert "### `stack-0`" in text


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    steps = [Step(action="create", urn=urn("aws:ec2/vpc:Vpc", f"network-{number}")) for number in range(900)]
    text = render(Report(SHA, {"dev": Plan(steps=steps, more=7)}))
    assert "700 more, in the run's log" in text
    assert "7 more changes are only in the run's log" in text


@pytest.mark.parametrize(("count", "folded"), [(10, False), (11, True)])
def test_only_a_long_list_of_harmless_changes_is_folded(count: int, folded: bool) -> None:
    steps = [Step(action="create", urn=urn("aws:ec2/vpc:Vpc", f"network-{number}")) for number in range(count)]
    text = render(Report(SHA, {"dev": Plan(steps=steps)}))
    assert (f"<summary>{count} created or updated</summary>" in text) is folded
    assert text.count("| create |") == count
