"""Policies as documents: what each says, and that an allowance is whole in one of them."""

import ipaddress

import pytest

from components import network_policies
from components.network_policies import Endpoint


def test_s1_default_deny_chooses_every_pod_and_both_directions() -> None:
    document = network_policies.default_deny("dev")
    assert document["metadata"] == {"name": "default-deny", "namespace": "dev"}
    assert document["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_a_direction_left_out_is_not_this_policys() -> None:
    spec = network_policies.policy("a", "b", {}, egress=[network_policies.to_internet()])["spec"]
    assert spec["policyTypes"] == ["Egress"]
    assert "ingress" not in spec


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("http://10.0.0.1:3000", Endpoint("10.0.0.1/32", 3000)),
        ("https://10.0.0.1", Endpoint("10.0.0.1/32", 443)),
        ("http://10.0.0.1", Endpoint("10.0.0.1/32", 80)),
        ("10.0.0.1:5000", Endpoint("10.0.0.1/32", 5000)),
    ],
)
def test_an_endpoint_is_read_from_a_url_or_an_address(address: str, endpoint: Endpoint) -> None:
    assert Endpoint.of(address) == endpoint


def test_a_name_needs_the_address_that_it_stands_for() -> None:
    with pytest.raises(ValueError, match="Expected 4 octets"):
        Endpoint.of("http://forge.example:3000")
    assert Endpoint.of("http://forge.example:3000", host="10.0.0.1") == Endpoint("10.0.0.1/32", 3000)


def test_endpoints_become_one_rule_a_port() -> None:
    rules = network_policies.to_endpoints([Endpoint("b/32", 443), Endpoint("a/32", 443), Endpoint("a/32", 80)])
    assert [(rule["ports"][0]["port"], [peer["ipBlock"]["cidr"] for peer in rule["to"]]) for rule in rules] == [
        (80, ["a/32"]),
        (443, ["a/32", "b/32"]),
    ]


def test_s1_the_internet_is_public_addresses_on_one_port() -> None:
    rule = network_policies.to_internet()
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    (block,) = (peer["ipBlock"] for peer in rule["to"])
    denied = [ipaddress.ip_network(one) for one in block["except"]]
    for address in ("10.201.0.7", "10.254.254.1", "169.254.169.254", "169.254.170.23", "100.64.0.1", "172.20.0.1"):
        assert any(ipaddress.ip_address(address) in network for network in denied), address
    for address in ("8.8.8.8", "203.0.113.80", "172.32.0.1", "100.128.0.1"):
        assert not any(ipaddress.ip_address(address) in network for network in denied), address


def test_dns_is_its_pods_and_its_services_address() -> None:
    rule = network_policies.to_dns("10.202.0.0/16")
    assert {port["protocol"] for port in rule["ports"]} == {"UDP", "TCP"}
    assert rule["to"][1] == {"ipBlock": {"cidr": "10.202.0.10/32"}}
    assert rule["to"][0]["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
