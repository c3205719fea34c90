"""What rules are handed: plain data, and whose value a value is made from."""

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policy.resources import UNKNOWN, Resource, has_unknown, plain


def resource(name: str = "n", links: dict[str, frozenset[str]] | None = None, **inputs: object) -> Resource:
    return Resource(f"urn:pulumi:dev::ml-platform::t::{name}", "t", name, inputs, links=links or {})


def test_unknown_values_are_marked_wherever_they_are() -> None:
    values = {"a": [1, {"b": UNKNOWN_STRING_VALUE}], "c": UNKNOWN_STRING_VALUE, "d": [UNKNOWN_STRING_VALUE, "text"]}
    found = plain(unknown_checking_proxy(values))
    assert found == {"a": [1, {"b": UNKNOWN}], "c": UNKNOWN, "d": [UNKNOWN, "text"]}
    assert has_unknown(found["a"])
    assert not has_unknown({"a": [1, {"b": None}]})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("a", 0, "b"), 1),
        (("a", 1), None),
        (("missing", "b"), None),
        (("a", "b"), None),
        (("c",), UNKNOWN),
        (("c", "below", 0), UNKNOWN),
    ],
)
def test_a_value_is_found_by_its_path(path: tuple[str | int, ...], expected: object) -> None:
    assert resource(a=[{"b": 1}], c=UNKNOWN).value(*path) == expected


def test_one_value_counts_as_a_list_of_one() -> None:
    found = resource(one="x", several=["x", "y"], unknown=UNKNOWN)
    assert found.list("one") == ["x"]
    assert found.list("several") == ["x", "y"]
    assert found.list("unknown") == [UNKNOWN]
    assert found.list("missing") == []


def test_it_belongs_to_what_its_value_is_made_from_or_names() -> None:
    bucket = resource("data", bucket="b")
    assert resource(bucket="b").belongs_to(bucket, "bucket")
    assert resource(bucket=UNKNOWN, links={"bucket": frozenset({bucket.urn})}).belongs_to(bucket, "bucket")


def test_it_does_not_belong_to_what_it_merely_does_not_know() -> None:
    nameless = resource("data", bucket=UNKNOWN)
    assert not resource(bucket=UNKNOWN).belongs_to(nameless, "bucket")
    assert not resource().belongs_to(resource("data"), "bucket")
    assert not resource(bucket="other").belongs_to(resource("data", bucket="b"), "bucket")


def test_its_urn_says_which_stack_and_project_it_is_of() -> None:
    assert resource().project == "ml-platform"
    assert resource().facts.production is False
