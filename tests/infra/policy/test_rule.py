"""A rule is one to the policy SDK, and its findings read the same everywhere."""

from collections.abc import Iterator

import pytest
from pulumi_policy import EnforcementLevel

from policy.registry import RULES
from policy.resources import UNKNOWN, Resource, Stack
from policy.rule import Finding, Rule, Undecided, dotted, expect, show

RESOURCE = Resource("urn:pulumi:dev::ml-platform::t::n", "t", "n", {"a": {"b": [7.0]}, "c": UNKNOWN, "d": False})


def test_every_rule_ends_the_preview() -> None:
    assert {rule.policy().enforcement_level for rule in RULES} == {EnforcementLevel.MANDATORY}


def test_names_and_descriptions_are_each_rules_own() -> None:
    for values in ([rule.name for rule in RULES], [rule.description for rule in RULES]):
        assert len(set(values)) == len(values)


def test_a_finding_names_the_resource_the_property_and_the_fix() -> None:
    (found,) = expect(RESOURCE, ("a", "b", 0), 30, "set it to 30")
    assert isinstance(found, Finding)
    assert str(found) == "t n: a.b[0]: is 7; set it to 30"


@pytest.mark.parametrize(("path", "wanted"), [(("a", "b", 0), 7), (("d",), False), (("a", "b", 0), (1, 7))])
def test_what_is_wanted_is_no_finding(path: tuple[str | int, ...], wanted: object) -> None:
    assert list(expect(RESOURCE, path, wanted, "")) == []


def test_what_is_missing_and_what_is_not_known_are_told_apart() -> None:
    (missing,) = expect(RESOURCE, ("x",), True, "add it")
    assert str(missing) == "t n: x: is missing; add it"
    (unknown,) = expect(RESOURCE, ("c", "below"), True, "add it")
    assert unknown == Undecided(RESOURCE, "c.below")


def test_a_rule_sees_the_types_that_it_asks_for() -> None:
    def check(resource: Resource) -> Iterator[Undecided]:
        yield Undecided(resource, "x")

    rule = Rule("r", "d", ("aws:s3/*", "t"), check)
    others = Stack([RESOURCE, Resource("urn:pulumi:dev::p::u::n", "u", "n", {})])
    assert [verdict.resource for verdict in rule.verdicts(others)] == [RESOURCE]
    assert rule.covers("aws:s3/bucket:Bucket")
    assert not rule.covers("aws:ec2/vpc:Vpc")


def test_values_are_shown_as_one_would_write_them() -> None:
    assert [show(value) for value in (True, 7.0, 7.5, "x", ["y"])] == ["true", "7", "7.5", "'x'", "['y']"]
    assert dotted(("rules", 0, "id")) == "rules[0].id"
