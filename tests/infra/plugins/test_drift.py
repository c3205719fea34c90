"""What counts as drift: a change since the object was applied, of a field that the inputs have."""

import base64
from typing import Any

import pytest

from plugins.kubernetes.drift import merged, rewritten

INPUTS = {
    "kind": "Deployment",
    "metadata": {"name": "a", "labels": {"x": "1"}},
    "spec": {"replicas": 1, "cpu": "1000m", "args": ["a", "b"], "empty": {}, "off": False},
}
LIVE = {
    "kind": "Deployment",
    "metadata": {"name": "a", "uid": "u", "labels": {"x": "1", "added": "by-others"}},
    "spec": {"replicas": 1, "cpu": "1", "args": ["a", "b"], "defaulted": True},
    "status": {"phase": "any"},
}


def test_only_what_the_server_rewrote_is_noted() -> None:
    assert rewritten(INPUTS, LIVE) == {"spec.cpu": "1"}


def test_nothing_drifted_just_after_the_apply() -> None:
    assert merged(INPUTS, LIVE, rewritten(INPUTS, LIVE)) == INPUTS


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicas"), 3),
        (("spec", "cpu"), "2"),
        (("spec", "args"), ["a"]),
        (("metadata", "labels"), {"x": "2"}),
    ],
)
def test_a_changed_field_has_its_live_value(path: tuple[str, str], value: Any) -> None:
    section, key = path
    live = {**LIVE, section: {**LIVE[section], key: value}}  # type: ignore[dict-item]
    assert merged(INPUTS, live, {"spec.cpu": "1"})[section][key] == value


def test_a_removed_field_is_gone() -> None:
    live = {**LIVE, "metadata": {"name": "a", "labels": {}}}
    assert merged(INPUTS, live, {"spec.cpu": "1"})["metadata"] == {"name": "a", "labels": {}}


def test_a_secrets_text_is_compared_as_text() -> None:
    inputs = {"kind": "Secret", "stringData": {"token": "é"}}
    live = {"kind": "Secret", "data": {"token": base64.b64encode("é".encode()).decode(), "other": "eA=="}}
    assert merged(inputs, live, {}) == inputs
    live["data"] = {"token": base64.b64encode(b"changed").decode()}
    assert merged(inputs, live, {})["stringData"] == {"token": "changed"}
