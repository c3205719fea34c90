"""What AWS refuses and moto lets pass: to delete a part of a network that something still uses.

Without these refusals a wrong order on the way down would go unnoticed.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import EC2Backend, ec2_backends

Check = Callable[..., Iterator[str]]


def install() -> None:
    """Make moto's EC2 as strict as AWS's, in this process."""
    for name, check in CHECKS.items():
        _guard(name, check)
    _take_interface_with_gateway()


def without_default_network(account: str, region: str) -> None:
    """Take the default VPC, which an account need not have, out of a region."""
    backend = ec2_backends[account][region]
    for vpc in [vpc for vpc in backend.vpcs.values() if vpc.is_default]:
        for subnet in backend.describe_subnets(filters={"vpc-id": vpc.id}):
            backend.delete_subnet(subnet.id)
        backend.delete_vpc(vpc.id)


def _guard(name: str, check: Check) -> None:
    original = getattr(EC2Backend, name)

    @functools.wraps(original)
    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        for user in check(self, *arguments, **named):
            raise DependencyViolationError(f"{name}: resource is in use by {user} and cannot be deleted.")
        return original(self, *arguments, **named)

    setattr(EC2Backend, name, guarded)


def _take_interface_with_gateway() -> None:
    """moto leaves a NAT gateway's network interface and its address's association behind."""
    original = EC2Backend.delete_nat_gateway

    @functools.wraps(original)
    def delete(self: Any, nat_gateway_id: str) -> Any:
        gateway = original(self, nat_gateway_id)
        card = gateway._eni
        for address in self.addresses:
            if address.eni is not None and address.eni.id == card.id:
                address.eni = address.association_id = None
        self.enis.pop(card.id, None)
        return gateway

    EC2Backend.delete_nat_gateway = delete  # type: ignore[method-assign]


def _subnet_users(backend: Any, subnet_id: str) -> Iterator[str]:
    yield from (f"network interface {card.id}" for card in backend.enis.values() if card.subnet.id == subnet_id)


def _vpc_users(backend: Any, vpc_id: str) -> Iterator[str]:
    yield from (item.id for item in backend.internet_gateways.values() if item.vpc and item.vpc.id == vpc_id)
    yield from (item.id for item in _endpoints(backend) if item.vpc_id == vpc_id)
    yield from (item.id for item in backend.groups.get(vpc_id, {}).values() if item.name != "default")


def _gateway_users(backend: Any, internet_gateway_id: str, vpc_id: str) -> Iterator[str]:
    gateways = [item for item in backend.nat_gateways.values() if item.state != "deleted"]
    yield from (item.id for item in gateways if backend.get_subnet(item.subnet_id).vpc_id == vpc_id)


def _group_users(backend: Any, name: str | None = None, group_id: str | None = None) -> Iterator[str]:
    for card in backend.enis.values():
        if group_id in {group.id for group in card.group_set}:
            yield f"network interface {card.id}"
    yield from (item.id for item in _endpoints(backend) if group_id in item.security_group_ids)


def _address_users(backend: Any, address: str | None = None, allocation_id: str | None = None) -> Iterator[str]:
    for item in backend.addresses:
        if item.allocation_id == allocation_id and item.association_id:
            yield f"association {item.association_id}"


def _endpoints(backend: Any) -> list[Any]:
    return [item for item in backend.vpc_end_points.values() if item.state != "deleted"]


CHECKS: dict[str, Check] = {
    "delete_security_group": _group_users,
    "delete_subnet": _subnet_users,
    "delete_vpc": _vpc_users,
    "detach_internet_gateway": _gateway_users,
    "release_address": _address_users,
}
