"""The state's bucket is closed, versioned and under a key that rotates; neither goes by mistake."""

import pytest

from aws.owner import Owner
from components.state_store import StateStore, StateStoreArgs
from recording import Recording, record

ARGS = StateStoreArgs(
    owner=Owner("bootstrap", "123456789012", "eu-central-1"),
    bucket="state",
    alias="alias/state",
    bucket_policy="{}",
    key_policy='{"Statement": []}',
)


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return record(lambda: (StateStore("one", ARGS), StateStore("two", ARGS)))


def test_the_key_rotates_and_is_deleted_late(recorded: Recording) -> None:
    key = recorded.one("aws:kms/key:Key", "one-key")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30
    assert key.inputs["policy"] == ARGS.key_policy
    assert recorded.one("aws:kms/alias:Alias", "one-key").inputs["name"] == "alias/state"


def test_the_bucket_is_encrypted_by_it(recorded: Recording) -> None:
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    [rule] = recorded.one(kind, "one-store-bucket").inputs["rules"]
    default = rule["applyServerSideEncryptionByDefault"]
    assert (default["sseAlgorithm"], rule["bucketKeyEnabled"]) == ("aws:kms", True)
    assert default["kmsMasterKeyId"].endswith("one-key")


def test_the_bucket_is_closed_and_keeps_versions(recorded: Recording) -> None:
    name = "one-store-bucket"
    block = recorded.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", name).inputs
    assert all(block[key] for key in block if key != "bucket")
    assert recorded.one("aws:s3/bucketVersioning:BucketVersioning", name)
    assert recorded.one("aws:s3/bucketPolicy:BucketPolicy", name).inputs["policy"] == "{}"
    assert recorded.one("aws:s3/bucket:Bucket", name).inputs["forceDestroy"] is False


def test_both_are_protected(recorded: Recording) -> None:
    assert recorded.one("aws:kms/key:Key", "one-key").protect
    assert recorded.one("aws:kms/alias:Alias", "one-key").protect
    assert recorded.one("aws:s3/bucket:Bucket", "one-store-bucket").protect


def test_two_instances_share_no_name(recorded: Recording) -> None:
    assert len(set(recorded.urns())) == len(recorded.urns())
