"""Values survive the way to the engine and back, and differences are found where they are."""

from typing import Any

import pytest
from google.protobuf import struct_pb2

from plugins.wire import (
    SECRET,
    SIGNATURE,
    UNKNOWNS,
    Difference,
    differences,
    format_path,
    is_unknown,
    sealed,
    secret,
    to_python,
    to_struct,
)


def test_plain_data_survives_both_ways() -> None:
    value = {
        "text": "é",
        "yes": True,
        "no": False,
        "none": None,
        "whole": 3,
        "part": 0.5,
        "list": [1, {"a": []}],
        "map": {},
    }
    assert to_python(to_struct(value)) == value
    assert isinstance(to_python(to_struct({"port": 8080}))["port"], int), "an API with typed fields refuses 8080.0"


def test_what_the_program_marks_is_marked_under_the_same_keys() -> None:
    like = {
        "plain": "a",
        "deep": {"hidden": secret("h"), "shown": "s"},
        "whole": secret({"a": 1}),
        "list": [{"a": secret("h")}],
        "elsewhere": secret("e"),
    }
    values = {
        "plain": "b",
        "deep": {"hidden": "H", "shown": "S", "more": 1},
        "whole": {"a": 2},
        "list": [{"a": "H"}],
        "live": 1,
    }
    assert sealed(values, to_struct(like)) == {
        "plain": "b",
        "deep": {"hidden": secret("H"), "shown": "S", "more": 1},
        "whole": secret({"a": 2}),
        "list": secret([{"a": "H"}]),
        "live": 1,
    }
    assert to_python(to_struct(sealed(values, to_struct(like)))) == values, "and reads as before"
    assert sealed({"whole": secret(1)}, to_struct(like)) == {"whole": secret(1)}, "once"


def test_secrets_in_a_providers_settings_are_plain() -> None:
    struct = struct_pb2.Struct()
    struct.update({"key": {SIGNATURE: SECRET, "value": "hidden"}})
    assert to_python(struct) == {"key": "hidden"}


def test_what_is_no_plain_data_is_refused() -> None:
    struct = struct_pb2.Struct()
    struct.update({"file": {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "path": "x"}})
    with pytest.raises(ValueError, match="assets, archives and resource references are not supported"):
        to_python(struct)


def test_the_engines_unknowns_are_known() -> None:
    assert len(UNKNOWNS) == 7
    assert all(is_unknown(value) for value in UNKNOWNS)
    assert not is_unknown("text")
    assert not is_unknown(None)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", "UPDATE")]),
        ({"a": 1}, {}, [("a", "DELETE")]),
        ({}, {"a": None}, [("a", "ADD")]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("a.b[1]", "UPDATE")]),
        ({"a": [1, 2, 3]}, {"a": [1]}, [("a[1]", "DELETE"), ("a[2]", "DELETE")]),
        ({"a": []}, {"a": [{}]}, [("a[0]", "ADD")]),
        ({"a": True}, {"a": 1}, [("a", "UPDATE")]),
        ({"a": {"x": 1}}, {"a": [1]}, [("a", "UPDATE")]),
        ({"l": {"a.b/c": "1"}}, {"l": {"a.b/c": "2"}}, [('l["a.b/c"]', "UPDATE")]),
    ],
)
def test_differences(old: Any, new: Any, expected: list[tuple[str, str]]) -> None:
    assert [(str(item), item.kind) for item in differences(old, new)] == expected


def test_paths_are_in_the_engines_notation() -> None:
    assert format_path(("spec", "ports", 0, "nodePort")) == "spec.ports[0].nodePort"
    assert str(Difference(("metadata", "labels", "app.kubernetes.io/name"), "ADD")) == (
        'metadata.labels["app.kubernetes.io/name"]'
    )
