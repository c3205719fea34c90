"""How a VPC's addresses are divided. Pure arithmetic.

A VPC is cut in eight. The first six parts are the private subnets of up to six zones, in the order in which the zones
are listed; the seventh stays free; the eighth holds the public subnets, which need room for load balancers and NAT
gateways only. A part's place depends on nothing but its zone's position, so a zone added at the end moves nothing.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

# What Kubernetes services of an EKS cluster are numbered from; no VPC may overlap it.
SERVICES = "172.20.0.0/16"
MOST_ZONES = 6
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
WIDEST = 16
# A load balancer asks for a /27 in each public subnet, which is a sixty-fourth of the VPC.
NARROWEST = 21
PRIVATE = tuple(ipaddress.IPv4Network(value) for value in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


@dataclass(frozen=True)
class Subnet:
    """The ranges of one availability zone."""

    zone: str
    public: str
    private: str


def subnets(cidr: str, zones: Sequence[str]) -> list[Subnet]:
    """The subnets of each zone, in order. Raises ValueError when the range or the zones do not fit."""
    if problem := misfit(cidr):
        raise ValueError(problem)
    if len(zones) > MOST_ZONES:
        raise ValueError(f"{len(zones)} zones do not fit; list {MOST_ZONES} at most")
    parts = list(ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=3))
    public = parts[7].subnets(prefixlen_diff=3)
    return [
        Subnet(zone, public=str(one), private=str(part)) for zone, part, one in zip(zones, parts, public, strict=False)
    ]


def misfit(cidr: str) -> str | None:
    """Why a range cannot be a VPC's, or None when it can. Raises ValueError when it is no range."""
    network = ipaddress.IPv4Network(cidr)
    if not any(network.subnet_of(private) for private in PRIVATE):
        return f"{cidr} is not private; choose it inside {', '.join(map(str, PRIVATE))}"
    if network.prefixlen < WIDEST:
        return f"{cidr} is wider than a VPC can be; use /{WIDEST} to /{NARROWEST}"
    if network.prefixlen > NARROWEST:
        return f"{cidr} is too small for the subnets of {MOST_ZONES} zones; use /{WIDEST} to /{NARROWEST}"
    if overlaps(cidr, SERVICES):
        return f"{cidr} overlaps {SERVICES}, which Kubernetes services use; choose a range apart"
    return None


def overlaps(one: str, other: str) -> bool:
    """Whether two ranges share an address."""
    return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))
