"""Hands resources to the policy pack as the engine does, over the same messages, and tells what it says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import proto
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policy import server
from recording import Registered

# How a preview writes a value that only an update will make known.
UNKNOWN = UNKNOWN_STRING_VALUE


@dataclass
class Given:
    """One resource for the pack. `links`: for each property the URNs of what its value is made from."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool = False
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Said:
    """One thing that the pack said: `rule` its name, `violated` false where it cannot tell yet."""

    rule: str
    message: str
    violated: bool


def judge(resources: Iterable[Given]) -> list[Said]:
    """Everything that the pack says of these resources."""
    analyzer, given = server.Analyzer(), list(resources)
    responses = [analyzer.Analyze(_request(item), None) for item in given]
    responses.append(analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=map(_of_stack, given)), None))
    return [
        Said(found.policyName, found.message, found.enforcementLevel == proto.MANDATORY)
        for response in responses
        for found in response.diagnostics
    ]


def of_record(recorded: Iterable[Registered]) -> list[Given]:
    """What a program registered, for the pack."""
    return [Given(item.urn, item.type, item.name, dict(item.inputs), item.protect, item.links) for item in recorded]


def _request(item: Given) -> Any:
    options = proto.AnalyzerResourceOptions(protect=item.protect)
    return proto.AnalyzeRequest(
        urn=item.urn, type=item.type, name=item.name, properties=_struct(item.inputs), options=options
    )


def _of_stack(item: Given) -> Any:
    links = {key: proto.AnalyzerPropertyDependencies(urns=urns) for key, urns in item.links.items()}
    return proto.AnalyzerResource(
        urn=item.urn,
        type=item.type,
        name=item.name,
        properties=_struct(item.inputs),
        options=proto.AnalyzerResourceOptions(protect=item.protect),
        propertyDependencies=links,
    )


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct
