"""Nothing listens to everybody: no security group and no load balancer."""

from collections.abc import Iterator

from policy.networks import everywhere
from policy.resources import UNKNOWN, Resource
from policy.rule import Finding, Rule, Undecided, Verdict
from policy.tokens import SERVICE

FIX = "name the ranges or the security group that may connect"
# Rules of their own: the type, and where it keeps a range.
RULES = {
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": ("cidrIpv4", "cidrIpv6"),
    "aws:ec2/securityGroupRule:SecurityGroupRule": ("cidrBlocks", "ipv6CidrBlocks"),
}
# Groups with rules in them.
GROUPS = (
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ec2/securityGroup:SecurityGroup",
)


def check(resource: Resource) -> Iterator[Verdict]:
    if resource.type == SERVICE:
        yield from _service(resource)
    elif resource.type in GROUPS:
        for index in range(len(resource.list("ingress"))):
            for key in ("cidrBlocks", "ipv6CidrBlocks"):
                yield from _closed(resource, f"ingress[{index}].{key}", resource.list("ingress", index, key))
    elif resource.value("type") != "egress":
        for key in RULES[resource.type]:
            yield from _closed(resource, key, resource.list(key))


def _service(service: Resource) -> Iterator[Verdict]:
    kind, key = service.value("spec", "type"), "spec.loadBalancerSourceRanges"
    if kind is UNKNOWN:
        yield Undecided(service, "spec.type")
    elif kind == "LoadBalancer" and not service.facts.local:
        ranges = service.list("spec", "loadBalancerSourceRanges")
        if not ranges:
            yield Finding(service, key, "is missing, which lets everybody in", FIX)
        yield from _closed(service, key, ranges)


def _closed(resource: Resource, key: str, ranges: list[object]) -> Iterator[Verdict]:
    for cidr in ranges:
        if cidr is UNKNOWN:
            yield Undecided(resource, key)
        elif everywhere(cidr):
            yield Finding(resource, key, f"has {cidr}, which is everybody", FIX)


RULE = Rule("ingress", "Nothing takes connections from everybody", (*RULES, *GROUPS, SERVICE), check)
