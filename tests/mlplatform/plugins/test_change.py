"""What the engine's own record of a preview comes to. The change itself is tried in tests/infra/test_local.py."""

import json

from mlplatform.plugins.change import Preview, read_events, refusal, tell

URN = "urn:pulumi:s::p::a:b:C$kubernetes:core/v1:Secret::{}"


def _event(op: str, name: str, kind: str = "resourcePreEvent") -> str:
    return json.dumps({kind: {"metadata": {"op": op, "urn": URN.format(name)}}})


def test_p3_what_would_be_replaced_or_deleted_is_found() -> None:
    lines = [
        _event("refresh", "same"),
        _event("same", "same"),
        _event("update", "changed"),
        _event("create-replacement", "replaced"),
        _event("replace", "replaced"),
        _event("update", "replaced"),
        _event("delete", "gone"),
        _event("create", "new"),
        _event("create", "new", "resOutputsEvent"),
        '{"half',
        "[]",
    ]
    found = read_events(lines)
    assert found.harm == ["replace kubernetes:core/v1:Secret replaced", "delete kubernetes:core/v1:Secret gone"]
    assert found.lines == [
        *found.harm,
        "update kubernetes:core/v1:Secret changed",
        "create kubernetes:core/v1:Secret new",
    ]


def test_a_preview_is_shown_with_the_worst_first() -> None:
    said: list[str] = []
    steps = {URN.format(number): "update" for number in range(30)} | {URN.format("x"): "delete"}
    tell(Preview(steps), said.append)
    assert said[0] == "  delete kubernetes:core/v1:Secret x"
    assert said[-1] == "  and 11 more"
    said.clear()
    tell(Preview(), said.append)
    assert said == ["  it changes nothing"]


def test_p3_a_refusal_names_what_is_lost_and_the_ways_on() -> None:
    text = refusal(["aws: A; it is B now"], Preview({URN.format(number): "replace" for number in range(5)}))
    assert "aws: A; it is B now" in text
    assert "5 resources would be replaced or deleted: replace kubernetes:core/v1:Secret 0" in text
    assert "and 2 more" in text
    assert "scripts/up --plugins" in text
    assert "pulumi up --refresh" in text
