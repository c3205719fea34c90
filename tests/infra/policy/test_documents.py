"""A policy document says the same however it is written."""

import json

import pytest

from policy import documents
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Undecided

STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject"}


def resource(policy: object) -> Resource:
    return Resource("urn:pulumi:dev::ml-platform::t::n", "t", "n", {"policy": policy})


@pytest.mark.parametrize(
    "policy",
    [
        json.dumps({"Statement": [STATEMENT]}),
        json.dumps({"Statement": STATEMENT}),
        {"Statement": [STATEMENT]},
    ],
    ids=["a list", "one alone", "no text"],
)
def test_its_statements_are_found(policy: object) -> None:
    assert documents.statements(resource(policy), "policy") == ([STATEMENT], [])


@pytest.mark.parametrize("policy", ["{", "[]", "null", "{}", '{"Statement": ["x"]}', '{"Statement": "x"}', 7])
def test_what_is_none_is_refused(policy: object) -> None:
    found, (verdict,) = documents.statements(resource(policy), "policy")
    assert found == []
    assert isinstance(verdict, Finding)


@pytest.mark.parametrize("policy", [UNKNOWN, {"Statement": [{"Resource": UNKNOWN}]}], ids=["all", "a part"])
def test_what_is_not_known_is_said(policy: object) -> None:
    found, (verdict,) = documents.statements(resource(policy), "policy")
    assert found == []
    assert isinstance(verdict, Undecided)


def test_no_document_is_nothing_to_judge() -> None:
    assert documents.statements(resource(None), "policy") == ([], [])


def test_whatever_is_no_denial_allows() -> None:
    statements = [{"Effect": "Deny"}, {"Effect": "Allow"}, {"Effect": "allow"}, {}]
    assert list(documents.allowed(statements)) == statements[1:]


@pytest.mark.parametrize(
    ("principal", "expected"),
    [("*", ["*"]), ({"AWS": "a"}, ["a"]), ({"AWS": ["a", "b"], "Service": "c"}, ["a", "b", "c"]), (None, [])],
)
def test_principals_are_listed(principal: object, expected: list[str]) -> None:
    assert documents.principals({"Principal": principal}) == expected
