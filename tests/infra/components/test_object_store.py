"""Buckets are versioned and closed, and on AWS encrypted and tidied; what is in them is kept."""

import pytest

from components.object_store import BucketArgs, ObjectStore, ObjectStoreArgs, RetentionArgs, lifecycle
from recording import Recording, record

POLICY = '{"Statement": []}'
BUCKETS = {"data": BucketArgs("raw", POLICY), "models": BucketArgs("weights", POLICY)}
SAFEGUARDS = {
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
}


@pytest.fixture(scope="module")
def recorded() -> Recording:
    def build() -> None:
        ObjectStore("one", ObjectStoreArgs(BUCKETS))
        ObjectStore("two", ObjectStoreArgs(BUCKETS))

    return record(build)


@pytest.fixture(scope="module")
def on_aws() -> Recording:
    args = ObjectStoreArgs(BUCKETS, protect=True, retention=RetentionArgs(90, 7), tags={"Project": "x"})
    return record(lambda: ObjectStore("store", args))


def test_each_role_is_a_versioned_bucket_of_the_given_name(recorded: Recording) -> None:
    assert recorded.one("aws:s3/bucket:Bucket", "one-data").inputs["bucket"] == "raw"
    assert recorded.one("aws:s3/bucket:Bucket", "one-models").inputs["bucket"] == "weights"
    for role, bucket in (("data", "raw"), ("models", "weights")):
        inputs = recorded.one("aws:s3/bucketVersioning:BucketVersioning", f"one-{role}").inputs
        assert inputs == {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
        assert recorded.one("aws:s3/bucketPolicy:BucketPolicy", f"one-{role}").inputs["policy"] == POLICY


def test_what_is_in_a_bucket_is_kept_unless_the_arguments_say_otherwise(recorded: Recording) -> None:
    assert recorded.one("aws:s3/bucket:Bucket", "one-data").inputs.get("forceDestroy") is False
    emptied = record(lambda: ObjectStore("store", ObjectStoreArgs(BUCKETS, force_destroy=True)))
    assert emptied.one("aws:s3/bucket:Bucket", "store-data").inputs["forceDestroy"] is True


def test_two_instances_share_no_name(recorded: Recording) -> None:
    urns = recorded.urns()
    assert len(set(urns)) == len(urns) == 14


def test_children_belong_to_their_component(recorded: Recording) -> None:
    component = recorded.one("ml-platform:index:ObjectStore", "one").urn
    assert recorded.one("aws:s3/bucketPolicy:BucketPolicy", "one-data").parent == component


def test_other_stores_are_asked_for_nothing_they_do_not_know(recorded: Recording) -> None:
    assert SAFEGUARDS.isdisjoint(item.type for item in recorded)
    assert "tags" not in recorded.one("aws:s3/bucket:Bucket", "one-data").inputs


def test_on_aws_each_bucket_is_encrypted_closed_and_owned_by_one(on_aws: Recording) -> None:
    for role, bucket in (("data", "raw"), ("models", "weights")):
        found = {item.type: item.inputs for item in on_aws if item.name == f"store-{role}" and item.type in SAFEGUARDS}
        assert set(found) == SAFEGUARDS
        assert {inputs["bucket"] for inputs in found.values()} == {bucket}
        encryption, ownership, _, block = (found[type_] for type_ in sorted(SAFEGUARDS, key=_order))
        assert encryption["rules"] == [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]
        assert ownership["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
        assert block == {
            "bucket": bucket,
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        }


def _order(type_: str) -> int:
    return ["Encryption", "Ownership", "Lifecycle", "PublicAccess"].index(
        next(part for part in ("Encryption", "Ownership", "Lifecycle", "PublicAccess") if part in type_)
    )


def test_on_aws_only_the_buckets_are_protected_and_tagged(on_aws: Recording) -> None:
    assert {item.name for item in on_aws if item.protect} == {"store-data", "store-models"}
    assert {item.type for item in on_aws if item.protect} == {"aws:s3/bucket:Bucket"}
    assert on_aws.one("aws:s3/bucket:Bucket", "store-data").inputs["tags"] == {"Project": "x"}


def test_old_versions_and_unfinished_uploads_go() -> None:
    versions, uploads = lifecycle(RetentionArgs(90, 7))
    assert versions["noncurrent_version_expiration"] == {"noncurrent_days": 90}
    assert "days" not in versions["expiration"], "what is current never goes"
    assert uploads["abort_incomplete_multipart_upload"] == {"days_after_initiation": 7}
    assert {rule["status"] for rule in (versions, uploads)} == {"Enabled"}


def test_the_policy_waits_for_the_block_on_public_ones(on_aws: Recording) -> None:
    block = on_aws.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "store-data")
    assert block.urn in on_aws.one("aws:s3/bucketPolicy:BucketPolicy", "store-data").dependencies
