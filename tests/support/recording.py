"""Runs a Pulumi program against a monitor that records what it registers, for plain asserts afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks, set_mocks

from plugins.wire import SECRET, SIGNATURE

PROJECT, STACK = "ml-platform", "local"


@dataclass(frozen=True)
class Registered:
    """One registered resource: secrets in `inputs` are plain, and their paths are in `secrets`."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    secrets: frozenset[str]
    provider: str
    dependencies: tuple[str, ...]
    protect: bool


class Recording(list[Registered]):
    """What a program registered, in order."""

    def one(self, type_: str, name: str) -> Registered:
        """The resource of this type and name. Raises AssertionError with what there is."""
        found = [item for item in self if (item.type, item.name) == (type_, name)]
        assert len(found) == 1, f"{type_} {name}: {len(found)}, of {[(item.type, item.name) for item in self]}"
        return found[0]

    def of(self, type_: str) -> list[Registered]:
        return [item for item in self if item.type == type_]


class _Echo(Mocks):
    """Every resource comes out as it went in."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: Any) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program looks {args.token} up; pass facts in")


class _Monitor(MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Echo())
        self.recording = Recording()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: every parent's type, but not the stack's."""
        chain = parent.split("::")[2] if parent else ""
        qualified = type_ if chain in {"", "pulumi:pulumi:Stack"} else f"{chain}${type_}"
        return f"urn:pulumi:{STACK}::{PROJECT}::{qualified}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names its methods
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            secrets: set[str] = set()
            self.recording.append(
                Registered(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    inputs=_plain(struct_pb2.Value(struct_value=request.object), "", secrets),
                    secrets=frozenset(secrets),
                    provider=request.provider,
                    dependencies=tuple(request.dependencies),
                    protect=request.protect,
                )
            )
        return response


def record(program: Callable[[], object]) -> Recording:
    """Run `program` as an update of the stack, and return what it registered."""
    monitor = _Monitor()
    set_mocks(monitor.mocks, project=PROJECT, stack=STACK, preview=False, monitor=monitor)

    def run() -> None:
        program()

    pulumi.runtime.test(run)()
    return monitor.recording


def _plain(value: struct_pb2.Value, path: str, secrets: set[str]) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = value.struct_value.fields
            if SIGNATURE in fields and fields[SIGNATURE].string_value == SECRET:
                secrets.add(path)
                return _plain(fields["value"], path, secrets)
            return {key: _plain(item, f"{path}.{key}".lstrip("."), secrets) for key, item in fields.items()}
        case "list_value":
            return [_plain(item, f"{path}[]", secrets) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)
