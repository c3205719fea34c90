"""Buckets are versioned, and only the users named may use them."""

import json

import pytest

from components.object_store import BucketArgs, ObjectStore, ObjectStoreArgs, policy
from recording import Recording, record

ARGS = ObjectStoreArgs({"data": BucketArgs("raw", ["boss"], ["reader"], ["writer"]), "models": BucketArgs("weights")})


@pytest.fixture(scope="module")
def recorded() -> Recording:
    def build() -> None:
        ObjectStore("one", ARGS)
        ObjectStore("two", ARGS)

    return record(build)


def test_each_role_is_a_versioned_bucket_of_the_given_name(recorded: Recording) -> None:
    assert recorded.one("aws:s3/bucket:Bucket", "one-data").inputs["bucket"] == "raw"
    assert recorded.one("aws:s3/bucket:Bucket", "one-models").inputs["bucket"] == "weights"
    for role, bucket in (("data", "raw"), ("models", "weights")):
        inputs = recorded.one("aws:s3/bucketVersioning:BucketVersioning", f"one-{role}").inputs
        assert inputs == {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}


def test_what_is_in_a_bucket_is_kept_unless_the_arguments_say_otherwise(recorded: Recording) -> None:
    assert recorded.one("aws:s3/bucket:Bucket", "one-data").inputs.get("forceDestroy") is False


def test_two_instances_share_no_name(recorded: Recording) -> None:
    urns = [item.urn for item in recorded]
    assert len(set(urns)) == len(urns) == 14


def test_children_belong_to_their_component(recorded: Recording) -> None:
    component = recorded.one("ml-platform:index:ObjectStore", "one").urn
    assert recorded.one("aws:s3/bucketPolicy:BucketPolicy", "one-data").parent == component


def test_the_policy_names_its_users_and_nobody_else() -> None:
    statements = {item["Sid"]: item for item in json.loads(policy(ARGS.buckets["data"]))["Statement"]}
    assert {sid: item["Principal"] for sid, item in statements.items()} == {
        "Administer": {"AWS": ["boss"]},
        "Read": {"AWS": ["reader"]},
        "Write": {"AWS": ["writer"]},
    }
    assert all(item["Resource"] == ["arn:aws:s3:::raw", "arn:aws:s3:::raw/*"] for item in statements.values())


def test_neither_readers_nor_writers_may_delete_a_version_or_manage_the_bucket() -> None:
    granted = {
        action
        for item in json.loads(policy(ARGS.buckets["data"]))["Statement"]
        if item["Sid"] != "Administer"
        for action in item["Action"]
    }
    assert granted.isdisjoint({"s3:*", "s3:DeleteObjectVersion", "s3:DeleteBucket", "s3:PutBucketPolicy"})
    assert "s3:PutObject" in granted
    reading = next(item for item in json.loads(policy(ARGS.buckets["data"]))["Statement"] if item["Sid"] == "Read")
    assert all(action.startswith(("s3:Get", "s3:List")) for action in reading["Action"])
