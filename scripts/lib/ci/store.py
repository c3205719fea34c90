"""Objects in the S3 store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ci.failure import Failure

MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class Store:
    """One bucket. Credentials and region come from the AWS variables, the endpoint too where it is not Amazon's."""

    bucket: str
    client: Any

    @classmethod
    def connect(cls, bucket: str) -> "Store":
        """A client for `bucket`."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("OBJECT_STORE_ENDPOINT") or None
        # Other stores than Amazon's often lack the checksums that boto3 adds by default.
        config = Config(
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=10,
            read_timeout=60,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            signature_version="s3v4",
        )
        return cls(bucket, boto3.Session().client("s3", endpoint_url=endpoint, config=config))

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        with _explained(self, "write", key):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def put_file(self, key: str, file: Path) -> None:
        """Write a file, of 5 GiB at most, as an object."""
        with _explained(self, "write", key), file.open("rb") as stream:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=stream)

    def get(self, key: str, limit: int) -> bytes:
        """An object's content. Raises `Failure` where it is larger than `limit` bytes, which are all that is read."""
        with _explained(self, "read", key):
            content: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read(limit + 1)
        if len(content) > limit:
            raise Failure(f"s3://{self.bucket}/{key} is larger than {limit} bytes")
        return content

    def writable(self, key: str, seconds: int) -> str:
        """An address that takes this one object for so long from whoever knows it."""
        target = {"Bucket": self.bucket, "Key": key}
        address: str = self.client.generate_presigned_url("put_object", Params=target, ExpiresIn=seconds)
        return address

    def has(self, key: str) -> bool:
        """Whether an object exists."""
        with _explained(self, "look up", key):
            try:
                self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in MISSING:
                    return False
                raise
        return True


@contextmanager
def _explained(store: Store, verb: str, key: str) -> Iterator[None]:
    """Turns the client's errors into one message that names place and fix."""
    what = f"cannot {verb} s3://{store.bucket}/{key} at {store.client.meta.endpoint_url}"
    try:
        yield
    except ClientError as error:
        denied = error.response.get("Error", {}).get("Code") in ("403", "AccessDenied")
        advice = ": check the job's AWS_ACCESS_KEY_ID and the rights of its account" if denied else ""
        raise Failure(f"{what}: {error}{advice}") from None
    except BotoCoreError as error:
        raise Failure(f"{what}: {error}: is the object store up, and is its address right?") from None
