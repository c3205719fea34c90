"""A resource as rules see it: plain data, with everything that a preview cannot know marked as such."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pulumi_policy import PolicyResource, ResourceValidationArgs
from pulumi_policy.proxy import UnknownValueError

from policy import stacks
from policy.stacks import Facts


class Unknown(Enum):
    """The value of what an update will make known."""

    VALUE = "not known yet"


UNKNOWN = Unknown.VALUE


@dataclass(frozen=True)
class Resource:
    """One resource. `links`: for each property the URNs of the resources that its value is made from."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    protect: bool = False
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The Pulumi project that the resource belongs to."""
        return self.urn.split("::")[1]

    @property
    def stack(self) -> str:
        """The Pulumi stack that the resource belongs to."""
        return self.urn.split("::")[0].removeprefix("urn:pulumi:")

    @property
    def facts(self) -> Facts:
        """What is true of the stack that the resource belongs to."""
        return stacks.facts(self.stack)

    def value(self, *path: str | int) -> Any:
        """The value at a path: None where there is none, UNKNOWN where it or something above it is not known yet."""
        found: Any = self.inputs
        for key in path:
            if found is UNKNOWN:
                return UNKNOWN
            if isinstance(found, dict) and isinstance(key, str):
                found = found.get(key)
            elif isinstance(found, list) and isinstance(key, int) and key < len(found):
                found = found[key]
            else:
                return None
        return found

    def list(self, *path: str | int) -> list[Any]:
        """The items at a path; a single value counts as one, UNKNOWN too."""
        found = self.value(*path)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def belongs_to(self, other: "Resource", key: str) -> bool:
        """Whether property `key` names `other`: by what its value is made from, or by the value where that is known."""
        if other.urn in self.links.get(key, ()):
            return True
        mine = self.value(key)
        return mine is not UNKNOWN and mine is not None and mine in (other.value(key), other.value("id"))


class Stack(list[Resource]):
    """All resources of a stack that some rule looks at."""

    def of(self, *types: str) -> Iterator[Resource]:
        return (item for item in self if item.type in types)


def of_policy(found: ResourceValidationArgs | PolicyResource) -> Resource:
    """A resource from what the policy SDK hands to a rule."""
    links: dict[str, frozenset[str]] = {}
    if isinstance(found, PolicyResource):
        links = {key: _urns(others) for key, others in found.property_dependencies.items()}
    return Resource(
        urn=found.urn,
        type=found.resource_type,
        name=found.name,
        inputs=plain(found.props),
        protect=bool(found.opts.protect),
        links=links,
    )


def _urns(resources: Iterable[PolicyResource]) -> frozenset[str]:
    return frozenset(item.urn for item in resources)


def plain(value: Any) -> Any:
    """The SDK's values, which raise where one is not known, as data that says so."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        return plain(container[key])
    except UnknownValueError:
        return UNKNOWN


def has_unknown(value: Any) -> bool:
    """Whether a value, or anything in it, is not known yet."""
    if isinstance(value, dict | list):
        return any(has_unknown(item) for item in (value.values() if isinstance(value, dict) else value))
    return value is UNKNOWN
