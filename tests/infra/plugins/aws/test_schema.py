"""The table of types agrees with Pulumi's own SDK, and has all that our stacks use."""

import importlib
import inspect
import os
import re
from collections.abc import Iterator
from types import ModuleType

import pytest
from pulumi import _types

from plugins.aws.fields import Field
from plugins.aws.provider import TYPES, Aws
from program import AWS_STACKS, run
from settings import ROOT


def service(token: str) -> ModuleType:
    return importlib.import_module(f"pulumi_aws.{token.split(':')[1].partition('/')[0]}")


def arguments(token: str) -> type:
    """The class of a resource's arguments; it has another name where a nested type took the first."""
    module, name = service(token), token.rpartition(":")[2]
    found: type = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")
    return found


def unknown(fields: tuple[Field, ...], schema: type, module: ModuleType, path: str = "") -> Iterator[str]:
    """The properties that the SDK's class does not have, at any depth."""
    names = _types.input_type_py_to_pulumi_names(schema)
    python = {pulumi: own for own, pulumi in names.items()}
    for field in fields:
        here = path + field.name
        if field.name not in python:
            yield here
        elif field.fields:
            annotation = str(getattr(schema, python[field.name]).fget.__annotations__["return"])
            inner = re.search(r"\w+Args", annotation)
            assert inner, f"{here} has properties here, and none in the SDK: {annotation}"
            yield from unknown(field.fields, getattr(module, inner[0]), module, f"{here}.")


@pytest.mark.parametrize("token", sorted(TYPES))
def test_every_property_is_the_sdks(token: str) -> None:
    row = Aws().row(token)
    assert row
    assert list(unknown(row._fields, arguments(token), service(token))) == []


def attributes(token: str) -> set[str]:
    """The properties that a resource of the SDK has when it is there, in the engine's names."""
    members = vars(getattr(service(token), token.rpartition(":")[2])).items()
    getters = ((name, member.fget) for name, member in members if isinstance(member, property))
    return {getattr(getter, "_pulumi_name", name) for name, getter in getters}


@pytest.mark.parametrize("token", sorted(TYPES))
def test_p1_every_output_is_the_sdks(token: str) -> None:
    row = Aws().row(token)
    assert row
    made = {field.name for field in row._fields} | set(TYPES[token].outputs)
    made |= {"tagsAll"} if TYPES[token].tagging else set()
    assert made - attributes(token) == set()


# What identifiers look like that the API makes up, by its own name for them.
MADE_UP = {
    "AllocationId": r"eipalloc-\w+",
    "Arn": r"arn:aws:\S+",
    "FlowLogIds.0": r"fl-\w+",
    "GroupId": r"sg-\w+",
    "InternetGatewayId": r"igw-\w+",
    "KeyId": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "LaunchTemplateId": r"lt-\w+",
    "NatGatewayId": r"nat-\w+",
    "OpenIDConnectProviderArn": r"arn:aws:\S+",
    "RoleName": r"[\w+=,.@-]+",
    "RouteTableId": r"rtb-\w+",
    "SecurityGroupRuleId": r"sgr-\w+",
    "SubnetId": r"subnet-\w+",
    "VpcEndpointId": r"vpce-\w+",
    "VpcId": r"vpc-\w+",
    "registryId": r"\d{12}",
}
# Imported by what they connect, and kept under an identifier of their own.
APART = {
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation",
}


def documented(token: str) -> list[str]:
    """The identifiers with which the SDK's documentation imports a resource."""
    source = inspect.getsource(getattr(service(token), token.rpartition(":")[2]))
    return sorted(set(re.findall(rf"pulumi import {re.escape(token)} \S+ (\S+)", source)))


@pytest.mark.parametrize("token", sorted(TYPES.keys() - APART))
def test_p1_an_identifier_is_what_the_official_provider_imports(token: str) -> None:
    type_, examples = TYPES[token], documented(token)
    assert examples
    if "{" in type_.identifier:
        # An owner's account may follow a bucket's name; without it the bucket is one's own.
        examples = [one.partition(",")[0] for one in examples]
        for example in examples:
            parsed = type_.parsed(example)
            assert parsed.keys() == set(type_.named_by), example
            assert not any(separator in value for value in parsed.values() for separator in ",#"), example
    else:
        leaf = next(name for name in MADE_UP if f".{type_.identifier}".endswith(f".{name}"))
        assert [one for one in examples if not re.fullmatch(MADE_UP[leaf], one)] == []


@pytest.mark.tools  # a stage's program has Argo CD's manifests, which come with the tool
@pytest.mark.parametrize("stack", AWS_STACKS)
def test_the_table_has_what_the_stack_uses(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_PLATFORM_ROOT", os.fspath(ROOT))
    recorded = [item for item in run(stack) if item.type.startswith("aws:")]
    assert len(recorded) > 20
    aws, refused = Aws(), []
    for item in recorded:
        row = aws.row(item.type)
        assert row, f"{item.type} has no row"
        inputs = row.completed(item.name, item.inputs, {})
        refused += [f"{item.type}.{problem.path}: {problem.reason}" for problem in row.check(inputs)]
    assert refused == []
