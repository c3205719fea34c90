"""Each stack's role has its own part of the state, and the secrets in it."""

import json

import pytest

from bootstrap.state import State
from iam_simulator import permits

STATE = State("123456789012", "eu-central-1", "shared")
BUCKET = "arn:aws:s3:::ml-platform-state-123456789012"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
ALIAS = {"kms:ResourceAliases": ["alias/ml-platform-state"]}
THROUGH_S3 = {**ALIAS, "kms:ViaService": "s3.eu-central-1.amazonaws.com", "kms:EncryptionContext:aws:s3:arn": BUCKET}
OTHER = "222222222222"


def state(stack: str) -> str:
    return f"{BUCKET}/.pulumi/stacks/ml-platform/{stack}.json"


def tags(stack: str) -> str:
    """Which plugins write the state, among others."""
    return f"{BUCKET}/.pulumi/stacks/ml-platform/{stack}.pulumi-tags"


def secrets(stack: str) -> dict[str, str | list[str]]:
    return {**ALIAS, "kms:EncryptionContext:stack": stack}


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:ListBucket", BUCKET),
        ("s3:GetObject", f"{BUCKET}/.pulumi/meta.yaml"),
        ("s3:GetObject", state("dev")),
        ("s3:GetObject", state("shared")),
        ("s3:PutObject", state("dev")),
        ("s3:PutObject", f"{state('dev')}.bak"),
        ("s3:GetObject", tags("dev")),
        ("s3:GetObject", tags("shared")),
        ("s3:PutObject", tags("dev")),
        ("s3:PutObject", f"{BUCKET}/.pulumi/history/ml-platform/dev/dev-1.history.json"),
        ("s3:PutObject", f"{BUCKET}/.pulumi/backups/ml-platform/dev/dev.1.json"),
        ("s3:PutObject", f"{BUCKET}/.pulumi/locks/organization/ml-platform/dev/1.json"),
        ("s3:DeleteObject", f"{BUCKET}/.pulumi/locks/organization/ml-platform/dev/1.json"),
    ],
)
def test_a_deploy_role_reaches_its_own_state_and_reads_the_shared_one(action: str, resource: str) -> None:
    assert permits([STATE.writer("dev")], action, resource, {})


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", state("prod")),
        ("s3:GetObject", state("dev2")),
        ("s3:PutObject", state("shared")),
        ("s3:PutObject", tags("shared")),
        ("s3:GetObject", tags("prod")),
        ("s3:PutObject", state("prod")),
        ("s3:DeleteObject", f"{BUCKET}/.pulumi/locks/organization/ml-platform/prod/1.json"),
        ("s3:PutObject", f"{BUCKET}/.pulumi/locks/organization/ml-platform/dev2/1.json"),
        ("s3:PutObject", f"{BUCKET}/.pulumi/meta.yaml"),
        ("s3:GetObject", f"{BUCKET}/.pulumi/stacks/ml-platform-bootstrap/123456789012.json"),
        ("s3:DeleteObjectVersion", state("dev")),
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:DeleteBucket", BUCKET),
    ],
)
def test_a_deploy_role_does_not_reach_the_others(action: str, resource: str) -> None:
    assert not permits([STATE.writer("dev")], action, resource, {})


def test_secrets_are_kept_apart_by_the_stack_in_their_context() -> None:
    writer = [STATE.writer("dev")]
    for action in ("kms:Encrypt", "kms:Decrypt"):
        assert permits(writer, action, KEY, secrets("dev"))
        assert not permits(writer, action, KEY, secrets("prod"))
        assert not permits(writer, action, KEY, ALIAS), "no context"
    assert permits(writer, "kms:Decrypt", KEY, secrets("shared")), "a stack's outputs come with its secrets"
    assert not permits(writer, "kms:Encrypt", KEY, secrets("shared"))
    assert not permits(writer, "kms:Decrypt", KEY, {**secrets("dev"), "kms:ResourceAliases": ["alias/other"]})


def test_objects_are_opened_and_sealed_through_s3_only() -> None:
    writer, reader = [STATE.writer("dev")], [STATE.reader(["dev"])]
    assert permits(writer, "kms:GenerateDataKey", KEY, THROUGH_S3)
    assert permits(reader, "kms:Decrypt", KEY, THROUGH_S3)
    assert not permits(reader, "kms:GenerateDataKey", KEY, THROUGH_S3)
    for key in ("kms:ViaService", "kms:EncryptionContext:aws:s3:arn"):
        assert not permits(writer, "kms:GenerateDataKey", KEY, {**THROUGH_S3, key: "other"})


def test_a_preview_reads_and_writes_nothing() -> None:
    reader = [STATE.reader(["dev", "prod"])]
    assert permits(reader, "s3:GetObject", state("prod"), {})
    assert permits(reader, "kms:Decrypt", KEY, secrets("prod"))
    assert not permits(reader, "s3:GetObject", state("staging"), {})
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not permits(reader, action, state("dev"), {})
    assert not permits(reader, "kms:Encrypt", KEY, secrets("dev"))


class TestOfAnotherAccount:
    """A stage's role acts in both accounts: its own policies, and the bucket's and the key's, must allow it."""

    root = f"arn:aws:iam::{OTHER}:root"
    bucket = STATE.bucket_policy({"dev": OTHER})
    key = STATE.key_policy({"dev": OTHER})

    def by(self, role: str) -> dict[str, str]:
        return {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/{role}", "aws:SecureTransport": "true"}

    def test_its_role_reaches_its_state(self) -> None:
        deploy = self.by("ml-platform-deploy-dev")
        assert permits([self.bucket], "s3:PutObject", state("dev"), deploy, self.root)
        assert permits([self.bucket], "s3:GetObject", state("shared"), deploy, self.root)
        assert permits([self.key], "kms:Encrypt", KEY, {**deploy, **secrets("dev")}, self.root)
        assert permits([self.bucket], "s3:GetObject", state("dev"), self.by("ml-platform-preview"), self.root)

    def test_and_no_other(self) -> None:
        deploy = self.by("ml-platform-deploy-dev")
        assert not permits([self.bucket], "s3:PutObject", state("prod"), deploy, self.root)
        assert not permits([self.bucket], "s3:GetObject", state("prod"), deploy, self.root)
        assert not permits([self.key], "kms:Decrypt", KEY, {**deploy, **secrets("prod")}, self.root)

    def test_nor_does_another_role_of_its_account(self) -> None:
        for role in ("admin", "ml-platform-deploy-dev2", "ml-platform/dev/ml-platform-deploy-dev"):
            assert not permits([self.bucket], "s3:GetObject", state("dev"), self.by(role), self.root)
        assert not permits([self.bucket], "s3:PutObject", state("dev"), self.by("ml-platform-preview"), self.root)

    def test_nor_anybody_without_tls(self) -> None:
        plain = {**self.by("ml-platform-deploy-dev"), "aws:SecureTransport": "false"}
        assert not permits([self.bucket], "s3:GetObject", state("dev"), plain, self.root)

    def test_the_accounts_own_policies_rule_the_key(self) -> None:
        own = "arn:aws:iam::123456789012:root"
        assert permits([self.key], "kms:ScheduleKeyDeletion", KEY, {}, own)
        assert permits([STATE.key_policy({})], "kms:Decrypt", KEY, {}, own)
        assert not permits([STATE.key_policy({})], "kms:Decrypt", KEY, secrets("dev"), self.root)

    def test_the_names_of_the_statements_are_letters_and_digits_and_differ(self) -> None:
        for text in (self.bucket, self.key):
            names = [statement["Sid"] for statement in json.loads(text)["Statement"]]
            assert len(set(names)) == len(names)
            assert all(name.isalnum() for name in names)
