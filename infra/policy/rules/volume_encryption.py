"""Disks are encrypted: those of launch templates and those on their own."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict, expect
from policy.tokens import LAUNCH_TEMPLATE

VOLUME = "aws:ebs/volume:Volume"
YES = (True, "true")  # launch templates write it as text


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == VOLUME:
        yield from expect(resource, ("encrypted",), YES, "set it to true")
        return
    disks = resource.list("blockDeviceMappings")
    if not disks:
        yield Finding(resource, "blockDeviceMappings", "is missing", "list the root disk with ebs.encrypted true")
    for index in range(len(disks)):
        path = ("blockDeviceMappings", index, "ebs")
        if resource.value(*path) is UNKNOWN:
            yield Undecided(resource, "blockDeviceMappings")
        elif resource.value(*path) is not None:  # without one it is a disk of the instance itself
            yield from expect(resource, (*path, "encrypted"), YES, "set it to true")


RULE = Rule("volume-encryption", "Disks are encrypted", (LAUNCH_TEMPLATE, VOLUME), check)
