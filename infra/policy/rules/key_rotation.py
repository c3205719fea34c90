"""Keys change once a year by themselves."""

from collections.abc import Iterator

from policy.resources import Resource
from policy.rule import Rule, Verdict, expect
from policy.tokens import KEY


def check(key: Resource) -> Iterator[Verdict]:
    if key.value("keyUsage") in (None, "ENCRYPT_DECRYPT"):  # others cannot rotate
        yield from expect(key, ("enableKeyRotation",), True, "set it to true")


RULE = Rule("key-rotation", "Keys rotate", (KEY,), check)
