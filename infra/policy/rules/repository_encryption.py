"""Images are encrypted, and the stack says how."""

from collections.abc import Iterator

from policy.resources import Resource
from policy.rule import Rule, Verdict, expect
from policy.tokens import REPOSITORY, REPOSITORY_TEMPLATE

PATH = ("encryptionConfigurations", 0, "encryptionType")


def check(resource: Resource) -> Iterator[Verdict]:
    yield from expect(resource, PATH, ("AES256", "KMS", "KMS_DSSE"), "set it to AES256 or KMS")


RULE = Rule("repository-encryption", "Repositories encrypt images", (REPOSITORY, REPOSITORY_TEMPLATE), check)
