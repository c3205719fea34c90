"""The form in which states keep objects, and which differences of form mean the same."""

from decimal import Decimal
from typing import Any

import pytest

from plugins.kubernetes import checkpoint
from plugins.kubernetes.kinds import Kind
from plugins.wire import Difference, differences

SCHEMA = {"spec": {"x-kubernetes-list-type": "map", "items": [{"x-kubernetes-int-or-string": True}]}}
STATED = {"spec": {"x_kubernetes_list_type": "map", "items": [{"x_kubernetes_int_or_string": True}]}}


def test_p1_names_are_written_as_the_official_provider_writes_them() -> None:
    outputs = checkpoint.outputs(SCHEMA, {**SCHEMA, "status": {}}, "v1", "somebody")
    assert outputs == {
        **STATED,
        "status": {},
        "__inputs": STATED,
        "__initialApiVersion": "v1",
        "__fieldManager": "somebody",
    }
    assert checkpoint.parsed(outputs) == (SCHEMA, {**SCHEMA, "status": {}})


def test_a_state_that_names_no_inputs_has_none() -> None:
    assert checkpoint.parsed({"a": 1, "__rewritten": {"a": 2}}) == (None, {"a": 1})


@pytest.mark.parametrize(
    ("annotations", "outputs", "expected"),
    [
        ({}, {}, "ours"),
        ({}, {"__fieldManager": "theirs"}, "theirs"),
        ({"pulumi.com/patchFieldManager": "named"}, {"__fieldManager": "theirs"}, "named"),
    ],
)
def test_the_field_manager(annotations: dict[str, str], outputs: dict[str, str], expected: str) -> None:
    assert checkpoint.manager({"metadata": {"annotations": annotations}}, outputs, "ours") == expected


def test_text_overrides_data_of_the_same_key() -> None:
    inputs = {"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "z"}}
    assert checkpoint.normal(inputs, "Secret") == {"data": {"a": "eg==", "b": "eQ=="}}
    assert checkpoint.normal(inputs, "ConfigMap") is inputs
    assert checkpoint.normal({"stringData": {}}, "Secret") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1Gi", 2**30), ("1024Mi", 2**30), ("500m", Decimal("0.5")), ("1e3", 1000), (2, 2), ("1k", 1000), ("x", None)],
)
def test_quantities(text: Any, expected: Any) -> None:
    assert checkpoint.quantity(text) == expected


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}, True),
        ({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}}, True),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "2000m"}}, False),
        ({"data": {"cpu": "1"}}, {"data": {"cpu": "1000m"}}, False),
        ({"limits": {}}, {"limits": {"cpu": "1"}}, False),
        ({"limits": {"cpu": "x"}}, {"limits": {"cpu": "y"}}, False),
    ],
)
def test_only_quantities_mean_the_same_in_another_form(old: Any, new: Any, same: bool) -> None:
    (change,) = differences(old, new)
    assert isinstance(change, Difference)
    assert checkpoint.means_the_same(change, Kind("v1", "Thing", "things")) is same


@pytest.mark.parametrize(
    ("value", "path", "same"),
    [("", "spec.class", True), ("a", "spec.class", False), ("", "spec.other", False), (False, "spec.class", False)],
)
def test_p1_an_empty_text_is_the_same_as_none_where_the_api_keeps_none(value: Any, path: str, same: bool) -> None:
    kind = Kind("v1", "Thing", "things", dropped=("spec.class",))
    name = path.rpartition(".")[2]
    for before, after in (({"spec": {}}, {"spec": {name: value}}), ({"spec": {name: value}}, {"spec": {}})):
        (change,) = differences(before, after)
        assert checkpoint.means_the_same(change, kind) is same
