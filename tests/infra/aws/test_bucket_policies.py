"""Only those named may use a bucket, and on AWS nobody without TLS."""

import json
from typing import Any

from aws.bucket_policies import of_accounts, of_users

ARNS = ["arn:aws:s3:::raw", "arn:aws:s3:::raw/*"]


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {item["Sid"]: item for item in json.loads(policy)["Statement"]}


def test_the_policy_names_its_users_and_nobody_else() -> None:
    found = statements(of_users("raw", administrators=["boss"], readers=["reader"], writers=["writer"]))
    assert {sid: item["Principal"] for sid, item in found.items()} == {
        "Administer": {"AWS": ["boss"]},
        "Read": {"AWS": ["reader"]},
        "ReadList": {"AWS": ["reader"]},
        "Write": {"AWS": ["writer"]},
        "WriteList": {"AWS": ["writer"]},
    }
    assert found["Administer"]["Resource"] == ARNS


def test_s4_what_is_granted_of_objects_is_not_granted_of_the_bucket() -> None:
    """Or a form, which versitygw judges by the bucket alone, would write wherever it likes."""
    found = statements(of_users("raw", administrators=["boss"], readers=["reader"], writers=["writer"]))
    for sid in ("Read", "Write"):
        assert found[sid]["Resource"] == ["arn:aws:s3:::raw/*"]
        assert found[f"{sid}List"]["Resource"] == ["arn:aws:s3:::raw"]
        assert found[f"{sid}List"]["Action"] == ["s3:GetBucketLocation", "s3:ListBucket"]
        assert not {"s3:ListBucket", "s3:GetBucketLocation"} & set(found[sid]["Action"])


def test_neither_readers_nor_writers_may_delete_a_version_or_manage_the_bucket() -> None:
    found = statements(of_users("raw", administrators=["boss"], readers=["reader"], writers=["writer"]))
    granted = {action for sid, item in found.items() if sid != "Administer" for action in item["Action"]}
    assert granted.isdisjoint({"s3:*", "s3:DeleteObjectVersion", "s3:DeleteBucket", "s3:PutBucketPolicy"})
    assert "s3:PutObject" in granted
    assert all(action.startswith("s3:Get") for action in found["Read"]["Action"])


def test_s4_a_prefix_is_filled_and_listed_by_those_it_names_alone() -> None:
    policy = of_users(
        "raw",
        readers=["r"],
        below={"in": ["m"]},
        fills={"in": ["p", "r"], "out": ["m"]},
        drops={"out": ["d"]},
        lists=["in"],
    )
    found = statements(policy)
    assert found["FillOut"]["Action"] == ["s3:GetObject", "s3:PutObject"]
    assert found["FillOut"]["Resource"] == ["arn:aws:s3:::raw/out/*"]
    assert found["ReadIn"]["Resource"] == ["arn:aws:s3:::raw/in/*"]
    assert found["ListIn"]["Principal"] == {"AWS": ["m", "p"]}
    assert found["ListIn"]["Condition"] == {"StringLike": {"s3:prefix": "in/*"}}
    assert (found["DropOut"]["Action"], found["DropOut"]["Principal"]) == (["s3:PutObject"], {"AWS": ["d"]})
    assert found["ReadList"]["Principal"] == {"AWS": ["r"]}
    assert len(found) == 7


def test_d17_what_is_pruned_can_be_deleted_and_not_be_written_or_read_but_for_listings() -> None:
    found = statements(of_users("raw", writers=["w"], prunes={"old": ["j"]}))
    mine = {sid: item for sid, item in found.items() if item["Principal"] == {"AWS": ["j"]}}
    assert {sid: (item["Action"], item["Resource"]) for sid, item in mine.items()} == {
        "PruneOld": (["s3:DeleteObject", "s3:DeleteObjectVersion"], ["arn:aws:s3:::raw/old/*"]),
        "LookOld": (["s3:GetObject", "s3:GetObjectVersion"], ["arn:aws:s3:::raw/old/*.dir"]),
        "ListVersions": (["s3:ListBucket", "s3:ListBucketVersions"], ["arn:aws:s3:::raw"]),
    }


def test_nobody_comes_without_tls() -> None:
    assert statements(of_accounts("raw")) == {
        "OnlyWithTls": {
            "Sid": "OnlyWithTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ARNS,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    }


def test_other_accounts_are_named_one_by_one() -> None:
    found = statements(of_accounts("raw", readers=["210987654321"], writers=["111111111111"]))
    assert found["Read"]["Principal"] == {"AWS": ["arn:aws:iam::210987654321:root"]}
    assert found["Write"]["Principal"] == {"AWS": ["arn:aws:iam::111111111111:root"]}
    assert "s3:PutObject" not in found["Read"]["Action"]
    assert not {action for item in found.values() for action in item["Action"]} & {"s3:DeleteObjectVersion"}
