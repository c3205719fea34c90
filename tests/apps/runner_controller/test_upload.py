"""The address by which a run leaves what it made: the same that AWS's own library signs."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.config import Config

from runner_controller.upload import Store, secret_part

CREDENTIAL = {"AWS_ACCESS_KEY_ID": "runs", "AWS_SECRET_ACCESS_KEY": "key/with+signs=0123456789"}


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [("http://10.254.254.1:7070", "us-east-1"), ("https://store.example.invalid/s3", "eu-central-1")],
)
def test_it_is_the_address_that_awss_library_makes(endpoint: str, region: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=CREDENTIAL["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIAL["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    wanted = client.generate_presigned_url("put_object", Params={"Bucket": "data", "Key": "runs/17"}, ExpiresIn=600)
    query = dict(parse_qsl(urlsplit(wanted).query))
    moment = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    made = Store(endpoint, region, "data").address(17, CREDENTIAL, moment, 600)
    assert made.partition("?")[0] == wanted.partition("?")[0]
    assert dict(parse_qsl(urlsplit(made).query)) == query
    assert secret_part(made) == query["X-Amz-Signature"]


def test_an_incomplete_credential_signs_nothing() -> None:
    with pytest.raises(KeyError):
        Store("http://a", "r", "b").address(1, {"AWS_ACCESS_KEY_ID": "a"}, datetime.now(UTC), 1)


def test_what_is_no_address_has_no_secret() -> None:
    assert secret_part("") == ""
