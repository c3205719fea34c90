"""Pods get what they need at AWS, below their own prefixes, and nothing that deletes for good."""

import re
from fnmatch import fnmatch
from typing import Any

import pytest

from aws import grants
from aws.owner import Owner
from settings import ROOT

OWNER = Owner("dev", "123456789012", "eu-central-1")
DATA, MODELS = "arn:aws:s3:::data", "arn:aws:s3:::models"


def allowed(statements: list[dict[str, Any]], action: str, resource: str, prefix: str = "") -> bool:
    """As AWS decides, for the conditions used here."""
    return any(
        action in item["Action"]
        and any(fnmatch(resource, pattern) for pattern in item["Resource"])
        and any(
            fnmatch(prefix, pattern)
            for pattern in item.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
        )
        for item in statements
    )


@pytest.mark.parametrize("key", ["dvc/files/md5/00/1", "runs/abc/dvc.lock"])
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject"])
def test_runners_read_and_write_below_their_prefixes(action: str, key: str) -> None:
    assert allowed(grants.runner(DATA), action, f"{DATA}/{key}")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", f"{DATA}/other/x"),
        ("s3:PutObject", f"{DATA}/dvc-other/x"),
        ("s3:GetObject", f"{MODELS}/dvc/x"),
        ("s3:DeleteObjectVersion", f"{DATA}/dvc/x"),
        ("s3:PutBucketPolicy", DATA),
    ],
)
def test_runners_do_nothing_else(action: str, resource: str) -> None:
    assert not allowed(grants.runner(DATA), action, resource)


@pytest.mark.parametrize(("prefix", "may"), [("dvc", True), ("dvc/files/", True), ("", False), ("other/", False)])
def test_runners_list_what_is_theirs(prefix: str, may: bool) -> None:
    assert allowed(grants.runner(DATA), "s3:ListBucket", DATA, prefix) is may


def test_the_prefix_is_where_dvc_keeps_its_data() -> None:
    url = re.search(r"url = s3://[^/]+/(\S+)", (ROOT / "ml" / ".dvc" / "config").read_text())
    assert url
    assert url[1] in grants.RUNNER_PREFIXES


def test_serving_reads_models_and_writes_nothing() -> None:
    actions = {action for item in grants.serving(MODELS) for action in item["Action"]}
    assert actions == {"s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"}
    assert allowed(grants.serving(MODELS), "s3:GetObject", f"{MODELS}/digits/1.bento")
    assert not allowed(grants.serving(MODELS), "s3:GetObject", f"{DATA}/x")


def test_external_secrets_reads_the_clusters_own() -> None:
    statements = grants.external_secrets(OWNER, "ml-platform-dev")
    secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret"
    assert allowed(statements, "secretsmanager:GetSecretValue", f"{secret}:ml-platform-dev/db-AbCdEf")
    assert not allowed(statements, "secretsmanager:GetSecretValue", f"{secret}:ml-platform-prod/db-AbCdEf")
    assert not allowed(statements, "secretsmanager:PutSecretValue", f"{secret}:ml-platform-dev/db-AbCdEf")
