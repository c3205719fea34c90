"""The table of types agrees with Pulumi's own SDK, and has all that our stacks use."""

import importlib
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
