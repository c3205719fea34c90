"""The aws provider's rows against a real S3-compatible store."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

import host_state
from control_plane.stack import Stack
from plugins.aws.provider import Aws
from plugins.server import Deadline, ProviderError, Row
from plugins.wire import differences

pytestmark = pytest.mark.tools

BUCKET, VERSIONING, POLICY = "bucket:Bucket", "bucketVersioning:BucketVersioning", "bucketPolicy:BucketPolicy"
NAME = "plugin-test"


def _settings(stack: Stack, **changed: str) -> dict[str, str]:
    return {
        "accessKey": "pulumi",
        "endpoints": json.dumps([{"s3": stack.store}]),
        "region": "us-east-1",
        "s3UsePathStyle": "true",
        "secretKey": host_state.secret("s3-pulumi-secret-key"),
        **changed,
    }


@pytest.fixture(scope="module")
def provider(loopback: Stack) -> Aws:
    provider = Aws()
    provider.configure(_settings(loopback))
    return provider


def _row(provider: Aws, token: str) -> Row:
    row = provider.row(f"aws:s3/{token}")
    assert row is not None
    return row


@pytest.fixture
def bucket(provider: Aws) -> Iterator[str]:
    row, inputs = _row(provider, BUCKET), {"bucket": NAME, "forceDestroy": True}
    row.create(inputs, Deadline())
    yield NAME
    row.delete(NAME, inputs, Deadline())
    assert row.read(NAME, inputs, {}) is None


def test_a_bucket_is_made_read_and_adopted(provider: Aws, bucket: str) -> None:
    row, inputs = _row(provider, BUCKET), {"bucket": bucket}
    identifier, outputs = row.create(inputs, Deadline())
    assert (identifier, outputs["arn"]) == (bucket, f"arn:aws:s3:::{bucket}")
    assert row.read(bucket, inputs, outputs) == (inputs, outputs)
    assert row.update(bucket, inputs, {**inputs, "forceDestroy": True}, Deadline())["forceDestroy"] is True


def test_a_bucket_with_something_in_it_is_deleted_only_by_force(provider: Aws, bucket: str) -> None:
    _row(provider, VERSIONING).create({"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}, Deadline())
    for body in (b"1", b"2"):
        provider.s3.put_object(Bucket=bucket, Key="a/b", Body=body)
    provider.s3.delete_object(Bucket=bucket, Key="a/b")
    provider.s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    with pytest.raises(ProviderError, match=f"bucket {bucket}: .*not empty"):
        _row(provider, BUCKET).delete(bucket, {"bucket": bucket}, Deadline())


def test_deleting_what_is_gone_succeeds(provider: Aws) -> None:
    for token in (BUCKET, POLICY, VERSIONING):
        _row(provider, token).delete("never-there", {"bucket": "never-there"}, Deadline())
        assert _row(provider, token).read("never-there", {"bucket": "never-there"}, {}) is None


def test_versioning_drifts_and_is_mended(provider: Aws, bucket: str) -> None:
    row, wanted = _row(provider, VERSIONING), {"bucket": bucket, "versioningConfiguration": {"status": "Enabled"}}
    assert row.read(bucket, wanted, {}) is None
    row.create(wanted, Deadline())
    assert row.read(bucket, wanted, wanted) == (wanted, wanted)
    row.delete(bucket, wanted, Deadline())
    now, _ = row.read(bucket, wanted, wanted) or ({}, {})
    assert now["versioningConfiguration"] == {"status": "Suspended"}
    row.update(bucket, now, wanted, Deadline())
    assert row.read(bucket, wanted, wanted) == (wanted, wanted)


def test_a_policy_is_compared_by_meaning(provider: Aws, bucket: str) -> None:
    def policy(user: str) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": ["pulumi", user]}, "Action": "s3:*"}
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, "Resource": resources}]}, indent=2)

    row, inputs = _row(provider, POLICY), {"bucket": bucket, "policy": policy("dvc")}
    assert row.read(bucket, inputs, inputs) is None
    row.create(inputs, Deadline())
    assert row.read(bucket, inputs, inputs) == (inputs, inputs)
    compact = {**inputs, "policy": json.dumps(json.loads(inputs["policy"]))}
    assert row.read(bucket, compact, compact) == (compact, compact)
    changed = {**inputs, "policy": policy("release")}
    row.update(bucket, inputs, changed, Deadline())
    now, _ = row.read(bucket, inputs, inputs) or ({}, {})
    assert "release" in now["policy"]
    row.delete(bucket, changed, Deadline())
    assert row.read(bucket, changed, changed) is None


@pytest.mark.parametrize(
    ("token", "inputs", "expected"),
    [
        (BUCKET, {"bucket": "b", "acl": "public-read"}, "acl"),
        (BUCKET, {}, "bucket"),
        (VERSIONING, {"bucket": "b"}, "versioningConfiguration"),
        (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "On"}}, "versioningConfiguration.status"),
        (
            VERSIONING,
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Enabled"}},
            "versioningConfiguration.mfaDelete",
        ),
        (POLICY, {"bucket": "b", "policy": "{"}, "policy"),
    ],
)
def test_wrong_inputs_are_refused_by_name(token: str, inputs: dict[str, Any], expected: str) -> None:
    assert [problem.path for problem in _row(Aws(), token).check(inputs)] == [expected]


def test_a_store_is_asked_for_no_tags(provider: Aws) -> None:
    inputs = {"bucket": "b", "tags": {"a": "b"}}
    assert [problem.path for problem in _row(provider, BUCKET).check(inputs)] == ["tags"]
    assert not list(_row(Aws(), BUCKET).check(inputs)), "AWS itself keeps them"


@pytest.mark.parametrize("token", [BUCKET, VERSIONING, POLICY])
def test_another_bucket_is_another_resource(token: str) -> None:
    row, old, new = _row(Aws(), token), {"bucket": "a"}, {"bucket": "b", "policy": "{}"}
    assert {str(change) for change in differences(old, new) if row.replaces(change, old)} == {"bucket"}
    assert not row.same_identity(old, new)


def test_other_types_are_not_there() -> None:
    assert Aws().row("aws:ec2/instance:Instance") is None
    assert "aws:ec2/instance:Instance" not in Aws().tokens()


def test_a_store_that_is_away_or_refuses_us_is_told(loopback: Stack) -> None:
    away, stranger = Aws(), Aws()
    away.configure(_settings(loopback, endpoints=json.dumps([{"s3": "http://127.0.0.1:1"}])))
    stranger.configure(_settings(loopback, secretKey="wrong"))
    with pytest.raises(ProviderError, match=r"bucket b: Could not connect .*; check that the object store runs"):
        _row(away, VERSIONING).read("b", {}, {})
    with pytest.raises(ProviderError, match="bucket b: "):
        _row(stranger, VERSIONING).create({"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}, Deadline())


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(ProviderError, match="region: is not set on the provider"):
        Aws().configure({})
