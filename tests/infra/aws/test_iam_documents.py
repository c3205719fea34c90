"""Documents say exactly who may do what."""

import json

import pytest

from aws import iam_documents


def test_a_document_is_the_same_text_each_time() -> None:
    statement = iam_documents.allow("Read", ["b", "a"], ["y", "x"])
    assert iam_documents.document(statement) == iam_documents.document(dict(reversed(statement.items())))
    assert json.loads(iam_documents.document(statement)) == {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Read", "Effect": "Allow", "Action": ["a", "b"], "Resource": ["y", "x"]}],
    }


def test_a_statement_has_a_principal_only_where_it_names_one() -> None:
    assert iam_documents.allow("Pull", ["a"], principals=["two", "one"]) == {
        "Sid": "Pull",
        "Effect": "Allow",
        "Action": ["a"],
        "Principal": {"AWS": ["one", "two"]},
    }


@pytest.mark.parametrize(
    ("session_tags", "actions"), [(False, ["sts:AssumeRole"]), (True, ["sts:AssumeRole", "sts:TagSession"])]
)
def test_a_role_trusts_one_service(session_tags: bool, actions: list[str]) -> None:
    (statement,) = json.loads(iam_documents.trust("x.amazonaws.com", session_tags=session_tags))["Statement"]
    assert statement == {"Effect": "Allow", "Principal": {"Service": "x.amazonaws.com"}, "Action": actions}


def test_conditions_are_equalities() -> None:
    (statement,) = json.loads(iam_documents.trust("x", equals={"aws:SourceAccount": "1"}))["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "1"}}


def test_an_account_is_trusted_by_its_root() -> None:
    assert iam_documents.account_root("123456789012") == "arn:aws:iam::123456789012:root"
