"""S3's resource types."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plugins.server import Deadline, Problem, ProviderError, Row, unknown_properties
from plugins.wire import Difference, is_unknown

if TYPE_CHECKING:
    from plugins.aws.provider import Aws

GONE = frozenset({"404", "NoSuchBucket", "NoSuchBucketPolicy", "NotFound"})
DELETE_BATCH = 1000  # the protocol's limit of keys in one call


class S3Row(Row):
    """A resource type of S3: its properties, and which of them name the thing itself."""

    resource_type: str
    properties: frozenset[str]
    required: tuple[str, ...]
    immutable: frozenset[str]

    def __init__(self, provider: "Aws") -> None:
        self.provider = provider

    @property
    def client(self) -> Any:
        return self.provider.s3

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from unknown_properties(inputs, self.properties, self.resource_type)
        for name in self.required:
            if not inputs.get(name):
                yield Problem(name, f"is missing; the offline plugin makes no names up, set {name!r}")

    def replaces(self, change: Difference, olds: dict[str, Any]) -> bool:
        return change.path[0] in self.immutable

    def same_identity(self, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        return olds.get("bucket") == news.get("bucket")


@contextmanager
def _explained(bucket: str) -> Iterator[None]:
    """Turn the SDK's errors into one message that says what to do."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise ProviderError(f"bucket {bucket}: {error.response['Error'].get('Message') or error}") from None
    except BotoCoreError as error:
        raise ProviderError(f"bucket {bucket}: {error}; check that the object store runs (scripts/up)") from None


def _missing(error: Exception) -> bool:
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code")) in GONE


class Bucket(S3Row):
    """A bucket. With `forceDestroy`, deleting it deletes every version of every object in it."""

    resource_type = "aws:s3/bucket:Bucket"
    properties = frozenset({"bucket", "forceDestroy", "tags", "tagsAll"})
    required = ("bucket",)
    immutable = frozenset({"bucket"})

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from super().check(inputs)
        for name in ("tags", "tagsAll"):
            if inputs.get(name):
                yield Problem(name, "S3-compatible stores do not all keep bucket tags; leave them out")

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        name = inputs["bucket"]
        with _explained(name):
            try:
                self.client.create_bucket(Bucket=name)
            except self.client.exceptions.BucketAlreadyOwnedByYou:
                pass  # an interrupted create left it
        return name, self._outputs(name, inputs)

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        with _explained(identifier):
            try:
                self.client.head_bucket(Bucket=identifier)
            except self.client.exceptions.ClientError as error:
                if _missing(error):
                    return None
                raise
        now = {**inputs, "bucket": identifier}
        return now, self._outputs(identifier, now)

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        return self._outputs(identifier, news)  # forceDestroy lives in the state only

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        with _explained(identifier):
            try:
                if inputs.get("forceDestroy"):
                    self._empty(identifier)
                self.client.delete_bucket(Bucket=identifier)
            except self.client.exceptions.ClientError as error:
                if not _missing(error):
                    raise

    def _empty(self, name: str) -> None:
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=name):
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            keys = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
            for start in range(0, len(keys), DELETE_BATCH):
                batch = {"Objects": keys[start : start + DELETE_BATCH], "Quiet": True}
                errors = self.client.delete_objects(Bucket=name, Delete=batch).get("Errors", [])
                if errors:
                    raise ProviderError(f"bucket {name}: {errors[0]['Key']} cannot be deleted: {errors[0]['Message']}")
        for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
            for upload in page.get("Uploads", []):
                self.client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])

    def _outputs(self, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {**inputs, "arn": f"arn:aws:s3:::{name}", "bucketDomainName": f"{name}.s3.amazonaws.com"}


class BucketVersioning(S3Row):
    """Whether a bucket keeps old versions. Deleting it suspends versioning; S3 cannot switch it off."""

    resource_type = "aws:s3/bucketVersioning:BucketVersioning"
    properties = frozenset({"bucket", "versioningConfiguration"})
    required = ("bucket", "versioningConfiguration")
    immutable = frozenset({"bucket"})

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from super().check(inputs)
        configuration = inputs.get("versioningConfiguration")
        if isinstance(configuration, dict):
            for problem in unknown_properties(configuration, {"status"}, self.resource_type):
                yield Problem(f"versioningConfiguration.{problem.path}", problem.reason)
            status = configuration.get("status")
            if status not in {"Enabled", "Suspended"} and not is_unknown(status):
                yield Problem("versioningConfiguration.status", f"is {status!r}; write Enabled or Suspended")

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        bucket = inputs["bucket"]
        self._put(bucket, inputs["versioningConfiguration"]["status"])
        return bucket, inputs

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        with _explained(identifier):
            try:
                status = self.client.get_bucket_versioning(Bucket=identifier).get("Status")
            except self.client.exceptions.ClientError as error:
                if _missing(error):
                    return None
                raise
        if status is None:
            return None
        now = {**inputs, "bucket": identifier, "versioningConfiguration": {"status": status}}
        return now, now

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        self._put(identifier, news["versioningConfiguration"]["status"])
        return news

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        with _explained(identifier):
            try:
                self._suspend(identifier)
            except self.client.exceptions.ClientError as error:
                if not _missing(error):
                    raise

    def _suspend(self, bucket: str) -> None:
        self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})

    def _put(self, bucket: str, status: str) -> None:
        with _explained(bucket):
            self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


class BucketPolicy(S3Row):
    """Who may do what with a bucket, as one JSON document."""

    resource_type = "aws:s3/bucketPolicy:BucketPolicy"
    properties = frozenset({"bucket", "policy"})
    required = ("bucket", "policy")
    immutable = frozenset({"bucket"})

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from super().check(inputs)
        policy = inputs.get("policy")
        if isinstance(policy, str) and not is_unknown(policy):
            try:
                json.loads(policy)
            except ValueError as error:
                yield Problem("policy", f"is not JSON: {error}")

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        bucket = inputs["bucket"]
        with _explained(bucket):
            self.client.put_bucket_policy(Bucket=bucket, Policy=inputs["policy"])
        return bucket, inputs

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        with _explained(identifier):
            try:
                policy = self.client.get_bucket_policy(Bucket=identifier)["Policy"]
            except self.client.exceptions.ClientError as error:
                if _missing(error):
                    return None
                raise
        same = "policy" in inputs and json.loads(policy) == json.loads(inputs["policy"])
        now = {**inputs, "bucket": identifier, "policy": inputs["policy"] if same else policy}
        return now, now

    def update(self, identifier: str, olds: dict[str, Any], news: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
        with _explained(identifier):
            self.client.put_bucket_policy(Bucket=identifier, Policy=news["policy"])
        return news

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        with _explained(identifier):
            try:
                self.client.delete_bucket_policy(Bucket=identifier)
            except self.client.exceptions.ClientError as error:
                if not _missing(error):
                    raise


ROWS: dict[str, Callable[["Aws"], Row]] = {row.resource_type: row for row in (Bucket, BucketPolicy, BucketVersioning)}
