"""The ranges of a VPC's subnets: inside it, apart, big enough, and where they were when a zone is added."""

import ipaddress
from itertools import combinations

import pytest

from aws import cidr

ZONES = [f"eu-central-1{letter}" for letter in "abcdef"]


def test_the_ranges_of_a_usual_vpc() -> None:
    first, second = cidr.subnets("10.20.0.0/16", ZONES[:2])
    assert first == cidr.Subnet("eu-central-1a", public="10.20.224.0/22", private="10.20.0.0/19")
    assert second == cidr.Subnet("eu-central-1b", public="10.20.228.0/22", private="10.20.32.0/19")


@pytest.mark.parametrize("length", range(cidr.WIDEST, cidr.NARROWEST + 1))
def test_they_lie_inside_and_apart_and_are_big_enough(length: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.20.0.0/{length}")
    found = cidr.subnets(str(vpc), ZONES)
    ranges = [ipaddress.IPv4Network(text) for subnet in found for text in (subnet.public, subnet.private)]
    assert len(ranges) == 12
    assert all(one.subnet_of(vpc) for one in ranges)
    assert not [pair for pair in combinations(ranges, 2) if pair[0].overlaps(pair[1])]
    # An Application Load Balancer wants a /27, and AWS keeps five addresses of each subnet.
    assert all(one.prefixlen <= 27 for one in ranges)
    assert all(ipaddress.IPv4Network(subnet.private).num_addresses == vpc.num_addresses // 8 for subnet in found)


def test_a_zone_added_at_the_end_moves_nothing() -> None:
    for count in range(2, len(ZONES)):
        assert cidr.subnets("10.20.0.0/16", ZONES[:count]) == cidr.subnets("10.20.0.0/16", ZONES)[:count]


def test_too_many_zones_are_refused() -> None:
    with pytest.raises(ValueError, match="7 zones do not fit; list 6 at most"):
        cidr.subnets("10.20.0.0/16", [*ZONES, "eu-central-1g"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("9.0.0.0/16", "is not private"),
        ("172.32.0.0/16", "is not private"),
        ("100.64.0.0/16", "is not private"),
        ("10.0.0.0/15", "wider than a VPC"),
        ("192.168.0.0/22", "too small"),
        ("172.20.0.0/16", "overlaps 172.20.0.0/16"),
        ("172.20.8.0/21", "overlaps 172.20.0.0/16"),
    ],
)
def test_what_cannot_be_a_vpc_is_refused(text: str, problem: str) -> None:
    assert problem in (cidr.misfit(text) or "")
    with pytest.raises(ValueError, match=problem):
        cidr.subnets(text, ZONES[:2])


@pytest.mark.parametrize("text", ["10.0.0.0/16", "172.16.0.0/16", "172.31.248.0/21", "192.168.0.0/16"])
def test_what_can_be_one_is_not(text: str) -> None:
    assert cidr.misfit(text) is None


def test_overlap() -> None:
    assert cidr.overlaps("10.0.0.0/8", "10.1.0.0/16")
    assert not cidr.overlaps("10.0.0.0/16", "10.1.0.0/16")
