"""Pods cannot take a node's role: instance metadata asks for a token, which does not travel beyond the node itself."""

from collections.abc import Iterator

from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict, expect
from policy.tokens import LAUNCH_TEMPLATE, NODE_GROUP


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == NODE_GROUP:
        template = resource.value("launchTemplate")
        if template is UNKNOWN:
            yield Undecided(resource, "launchTemplate")
        elif not template:
            fix = "give one, which says how its instances' metadata and disks are protected"
            yield Finding(resource, "launchTemplate", "is missing", fix)
        return
    yield from expect(resource, ("metadataOptions", "httpTokens"), "required", "set it to required (IMDSv2)")
    yield from expect(resource, ("metadataOptions", "httpPutResponseHopLimit"), 1, "set it to 1")


RULE = Rule("instance-metadata", "Instances answer metadata by IMDSv2 only", (LAUNCH_TEMPLATE, NODE_GROUP), check)
