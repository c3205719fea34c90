"""Properties between Pulumi and the AWS API, without either."""

import json
from typing import Any

import pytest

from plugins.aws.fields import (
    ABSENT,
    LISTED,
    TEXT_BOOLEAN,
    UNLISTED,
    camel,
    check,
    dig,
    fixed,
    local,
    merged,
    observed,
    pascal,
    request,
    same_document,
    without_defaults,
)
from plugins.wire import UNKNOWNS, differences

UNKNOWN = min(UNKNOWNS)
FIELDS = (
    pascal("cidrBlock", fixed=True, required=True),
    pascal("subnetIds", kind="set"),
    pascal("policy", "PolicyDocument", kind="document"),
    pascal("tags", kind="map", default={}),
    pascal("size", default=1),
    pascal("source", pinned=True),
    pascal("encryption", fields=(pascal("key", "KeyArn", fixed=True, default="own"), pascal("level")), **LISTED),
    pascal("rules", kind="objects", fields=(pascal("port", required=True), pascal("open", **TEXT_BOOLEAN))),
    pascal("zone", "Placement.Zone", live="Where.0.Zone"),
    local("force"),
)
GIVEN = {
    "cidrBlock": "10.0.0.0/16",
    "subnetIds": ["b", "a"],
    "policy": '{"Statement": [{"Action": ["s3:*"]}]}',
    "encryption": {"key": "k", "level": 2},
    "rules": [{"port": 1, "open": "true"}, {"port": 2, "open": "false"}],
    "zone": "z",
    "force": True,
}
SENT = {
    "CidrBlock": "10.0.0.0/16",
    "SubnetIds": ["b", "a"],
    "PolicyDocument": '{"Statement": [{"Action": ["s3:*"]}]}',
    "Encryption": [{"KeyArn": "k", "Level": 2}],
    "Rules": [{"Port": 1, "Open": True}, {"Port": 2, "Open": False}],
    "Placement": {"Zone": "z"},
}
# The same as AWS tells it: lists in its own order, one item unpacked, and more than was asked for.
TOLD = {
    **SENT,
    "SubnetIds": ["a", "b"],
    "PolicyDocument": {"Statement": {"Action": "s3:*"}},
    "Rules": [{"Port": 2, "Open": False, "Id": "x"}, {"Port": 1, "Open": True, "Id": "y"}],
    "Where": [{"Zone": "z"}],
    "Size": 1,
}


def paths(inputs: dict[str, Any]) -> list[str]:
    return [problem.path for problem in check(FIELDS, inputs, "a:b:C")]


def test_inputs_become_parameters() -> None:
    assert request(FIELDS, GIVEN) == SENT
    single = (camel("a", kind="objects", fields=(camel("b"),), **UNLISTED),)
    assert request(single, {"a": [{"b": 1}]}) == {"a": {"b": 1}}
    assert observed(single, {"a": {"b": 1}}) == {"a": [{"b": 1}]}


def test_what_aws_tells_is_equal_to_what_it_was_given() -> None:
    assert merged(FIELDS, GIVEN, observed(FIELDS, TOLD)) == GIVEN


@pytest.mark.parametrize(
    ("told", "name", "now"),
    [
        ({"CidrBlock": "10.1.0.0/16"}, "cidrBlock", "10.1.0.0/16"),
        ({"SubnetIds": ["a"]}, "subnetIds", ["a"]),
        ({"PolicyDocument": {"Statement": []}}, "policy", '{"Statement": []}'),
        ({"Encryption": [{"KeyArn": "other", "Level": 2}]}, "encryption", {"key": "other", "level": 2}),
        ({"Encryption": []}, "encryption", {}),
        ({"Rules": [{"Port": 1, "Open": True}]}, "rules", [{"port": 1, "open": "true"}]),
        ({"Rules": [*SENT["Rules"], {"Port": 3}]}, "rules", [*GIVEN["rules"], {"port": 3}]),  # type: ignore[misc]
        ({"Where": [{"Zone": "y"}]}, "zone", "y"),
    ],
)
def test_drift_is_seen(told: dict[str, Any], name: str, now: Any) -> None:
    assert merged(FIELDS, GIVEN, observed(FIELDS, {**TOLD, **told})) == {**GIVEN, name: now}


def test_what_is_no_longer_told_has_drifted_unless_it_is_empty() -> None:
    assert "zone" not in merged(FIELDS, GIVEN, observed(FIELDS, {**TOLD, "Where": []}))
    given = {**GIVEN, "tags": {}, "size": 1, "subnetIds": []}
    told = {key: value for key, value in TOLD.items() if key not in ("Tags", "Size", "SubnetIds")}
    assert merged(FIELDS, given, observed(FIELDS, told)) == given


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"colour": "red"}, ["colour"]),
        ({"encryption": {"kye": "k"}}, ["encryption.kye"]),
        ({"rules": [{"port": 1}, {"prot": 1}]}, ["rules[1].prot", "rules[1].port"]),
        ({"cidrBlock": None}, ["cidrBlock"]),
        ({"policy": "{"}, ["policy"]),
        ({"subnetIds": "a"}, ["subnetIds"]),
        ({"encryption": [{}]}, ["encryption"]),
        ({"tags": ["a"]}, ["tags"]),
        ({"size": {}}, ["size"]),
        ({"rules": ["a"]}, ["rules[0]"]),
        (
            {"cidrBlock": UNKNOWN, "encryption": UNKNOWN, "rules": [UNKNOWN], "policy": UNKNOWN, "subnetIds": UNKNOWN},
            [],
        ),
        ({"__defaults": ["cidrBlock"]}, []),
    ],
)
def test_wrong_inputs_are_named_at_any_depth(changed: dict[str, Any], expected: list[str]) -> None:
    assert paths({**GIVEN, **changed}) == expected


@pytest.mark.parametrize(
    ("old", "new", "replaced"),
    [
        ({"cidrBlock": "a"}, {"cidrBlock": "b"}, True),
        ({"cidrBlock": "a"}, {}, True),
        ({"encryption": {"key": "a"}}, {"encryption": {"key": "b"}}, True),
        ({"encryption": {"level": 1}}, {"encryption": {"level": 2}}, False),
        ({"encryption": {"key": "a", "level": 1}}, {}, True),
        ({"encryption": {"level": 1}}, {}, False),
        ({}, {"encryption": {"key": "own"}}, False),  # the API's own default
        ({"encryption": {"key": "own", "level": 1}}, {"encryption": {"level": 1}}, False),
        ({"source": "a"}, {"source": "b"}, False),
        ({"source": "a"}, {}, True),
        ({}, {"source": "a"}, True),
        ({"size": 1}, {"size": 2}, False),
        ({"rules": [{"port": 1}]}, {"rules": [{"port": 2}]}, False),
    ],
)
def test_what_is_fixed_needs_a_new_resource(old: dict[str, Any], new: dict[str, Any], replaced: bool) -> None:
    found = list(differences(old, new))
    assert found
    assert any(fixed(FIELDS, item.path, item.old, item.new) for item in found) is replaced


def test_places_are_found() -> None:
    document = {"a": [{"b": 1}, {"b": 2}], "c": {"d": None}}
    assert dig(document, "a.1.b") == 2
    assert dig(document, "a.*.b") == [1, 2]
    assert dig(document, "") == document
    for path in ("a.2.b", "c.d", "x.*.y", "a.b", "c.d.e"):
        assert dig(document, path) is ABSENT


def test_an_import_leaves_out_what_is_as_by_default() -> None:
    found = {"size": 1, "tags": {}, "cidrBlock": "10.0.0.0/8", "source": None}
    assert without_defaults(FIELDS, found) == {"cidrBlock": "10.0.0.0/8"}


def test_documents_are_compared_by_meaning() -> None:
    one = {"Statement": [{"Action": ["a", "b"], "Principal": {"AWS": ["x"]}}], "Version": "v"}
    other = {"Version": "v", "Statement": {"Principal": {"AWS": "x"}, "Action": ["b", "a"]}}
    assert same_document(json.dumps(one), json.dumps(other))
    assert not same_document(json.dumps(one), json.dumps({**other, "Version": "w"}))
