"""Documents of NetworkPolicies: default deny, and the allowances whose addresses are facts of a cluster.

A policy admits what any of its rules does, and a pod what any of its policies does; so an allowance is whole in one
object, for a pod that has half of it is cut off from the other half.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from components import objects

Rule = dict[str, Any]

DEFAULT_DENY = "default-deny"
ANYWHERE = "0.0.0.0/0"
# Addresses that are nobody's on the internet: private, shared by carriers, loopback, link-local (where clouds answer
# for metadata and credentials), multicast and reserved.
NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
HTTPS = 443


@dataclass(frozen=True)
class Endpoint:
    """A TCP port of one address or range."""

    cidr: str
    port: int

    @classmethod
    def of(cls, address: str, host: str | None = None) -> "Endpoint":
        """The endpoint that `host:port` or a URL names. Raises ValueError for a name, which `host`, an IPv4 address,
        takes the place of."""
        parts = urlsplit(address if "//" in address else f"//{address}")
        port = parts.port or (HTTPS if parts.scheme == "https" else 80)
        return cls(f"{ipaddress.IPv4Address(host or parts.hostname or '')}/32", port)


def default_deny(namespace: str) -> objects.Document:
    """Nothing to and nothing from any pod of a namespace that no other policy admits."""
    return policy(DEFAULT_DENY, namespace, {}, ingress=[], egress=[])


def policy(
    name: str,
    namespace: str,
    pods: Mapping[str, Any],
    *,
    ingress: Sequence[Rule] | None = None,
    egress: Sequence[Rule] | None = None,
) -> objects.Document:
    """What the pods that the selector `pods` chooses may; a direction left out is none of this policy's business."""
    directions = {"Ingress": ingress, "Egress": egress}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "podSelector": dict(pods),
            "policyTypes": [name for name, rules in directions.items() if rules is not None],
            **{name.lower(): list(rules) for name, rules in directions.items() if rules},
        },
    }


def to_dns(service_cidr: str) -> Rule:
    """The cluster's DNS: its pods, and its service's address, where an engine sees that first or DNS is no pod."""
    return {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            },
            {"ipBlock": {"cidr": f"{ipaddress.IPv4Network(service_cidr)[10]}/32"}},
        ],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }


def to_endpoints(endpoints: Sequence[Endpoint]) -> list[Rule]:
    """One rule a port, with each of its addresses once."""
    by_port: dict[int, list[str]] = {}
    for one in endpoints:
        by_port.setdefault(one.port, []).append(one.cidr)
    return [
        {
            "to": [{"ipBlock": {"cidr": cidr}} for cidr in sorted(set(cidrs))],
            "ports": [{"protocol": "TCP", "port": port}],
        }
        for port, cidrs in sorted(by_port.items())
    ]


def to_internet() -> Rule:
    """TCP 443 of public addresses."""
    return {
        "to": [{"ipBlock": {"cidr": ANYWHERE, "except": list(NOT_PUBLIC)}}],
        "ports": [{"protocol": "TCP", "port": HTTPS}],
    }


def to_pods(names: Sequence[str], port: int) -> Rule:
    """A port of the namespace's own pods that carry one of these names."""
    selector = {"matchExpressions": [{"key": "app.kubernetes.io/name", "operator": "In", "values": list(names)}]}
    return {"to": [{"podSelector": selector}], "ports": [{"protocol": "TCP", "port": port}]}
