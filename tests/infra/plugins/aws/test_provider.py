"""The provider's settings: region, account, endpoints, and what stays unloaded until it is needed."""

import subprocess
import sys
from typing import Any

import pytest

from plugins.aws.provider import TYPES, Aws
from plugins.server import Deadline, ProviderError
from settings import ROOT


class Sts:
    """Says whose the credentials are."""

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Account": "123456789012"}


def configured(monkeypatch: pytest.MonkeyPatch, **settings: str) -> Aws:
    aws = Aws()
    aws.configure({"region": "eu-central-1", **settings})
    monkeypatch.setattr(aws, "_make", lambda service: Sts())
    return aws


def test_another_account_is_refused_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = configured(monkeypatch, allowedAccountIds='["210987654321"]')
    row = aws.row("aws:ec2/vpc:Vpc")
    assert row
    message = (
        "the credentials are of account 123456789012, but this stack belongs to 210987654321;"
        r" use that account's credentials \(AWS_PROFILE\)"
    )
    with pytest.raises(ProviderError, match=message):
        row.create({"cidrBlock": "10.0.0.0/16"}, Deadline(1))


def test_the_account_is_asked_for_only_where_one_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured(monkeypatch, allowedAccountIds='["123456789012"]').client("ec2")
    anybody = configured(monkeypatch)
    monkeypatch.setattr(Sts, "get_caller_identity", lambda self: pytest.fail("asked"))
    assert anybody.client("s3")


def test_the_region_of_the_environment_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    aws = Aws()
    aws.configure({})
    assert (aws.region, aws.partition) == ("eu-west-1", "aws")


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_regions_of_their_own_have_arns_of_their_own(region: str, partition: str) -> None:
    aws = Aws()
    aws.configure({"region": region})
    assert aws.partition == partition


def test_an_api_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("URL", "http://127.0.0.1:1"), ("MAX_ATTEMPTS", "1")):
        monkeypatch.setenv(f"AWS_{'ENDPOINT_' if name == 'URL' else ''}{name}", value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr("plugins.aws.provider.ATTEMPTS", 1)
    aws = Aws()
    aws.configure({"region": "eu-central-1"})
    row = aws.row("aws:kms/key:Key")
    assert row
    with pytest.raises(ProviderError, match=r"key k: .*; check the network and AWS_ENDPOINT_URL"):
        row.read("k", {"description": "x"}, {})


def test_comparing_and_checking_load_no_aws_sdk() -> None:
    program = (
        "from plugins import protocol; protocol.without_sdk();"
        "from plugins.aws.provider import Aws;"
        "from plugins.wire import differences;"
        "aws = Aws(); aws.configure({'region': 'r', 'allowedAccountIds': '[\"1\"]'});"
        "row = aws.row('aws:iam/role:Role');"
        "inputs = row.completed('x', {'assumeRolePolicy': '{}'}, {}); assert not list(row.check(inputs));"
        "assert [row.replaces(one, inputs) for one in differences(inputs, {**inputs, 'path': '/x/'})] == [True];"
        "import sys; print([name for name in ('boto3', 'botocore', 'pulumi_aws') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT / "infra", capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_messages_call_things_by_their_names() -> None:
    nouns = {token.rpartition(":")[2]: type_.noun for token, type_ in TYPES.items()}
    assert nouns["NatGateway"] == "nat gateway"
    assert nouns["BucketPolicy"] == "bucket"
