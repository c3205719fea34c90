"""Runs a Pulumi program against a monitor that records what it registers, for plain asserts afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.runtime import get_root_resource
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.stack import Stack

from plugins.wire import SECRET, SIGNATURE

PROJECT = "ml-platform"
# What the program reads of resources beyond what it set itself; the platform's own plugins answer with more.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:eks/cluster:Cluster": {
        "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
        "endpoint": "https://eks.test",
    },
}


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
    deleted_with: str = ""
    ignored: tuple[str, ...] = ()
    # For each property, the URNs of the resources that its value is made from.
    links: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Recording(list[Registered]):
    """What a program registered, in order, and the stack's outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, Any] = {}

    def one(self, type_: str, name: str) -> Registered:
        """The resource of this type and name. Raises AssertionError with what there is."""
        found = [item for item in self if (item.type, item.name) == (type_, name)]
        assert len(found) == 1, f"{type_} {name}: {len(found)}, of {[(item.type, item.name) for item in self]}"
        return found[0]

    def of(self, type_: str) -> list[Registered]:
        return [item for item in self if item.type == type_]

    def urns(self) -> list[str]:
        return sorted(item.urn for item in self)


class _Echo(Mocks):
    """Every resource comes out as it went in, with the identity that its service would give it."""

    def __init__(self, stacks: Mapping[str, Mapping[str, Any]]) -> None:
        self._stacks = stacks

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            read = args.resource_id or ""
            assert read in self._stacks, f"the program reads the stack {read}; pass its outputs"
            return read, {"name": read, "outputs": dict(self._stacks[read])}
        if not args.typ.startswith("aws:"):
            return f"{args.name}-id", dict(args.inputs)
        made_up = {"name": args.name, "arn": f"arn:aws:test:::{args.name}", "repositoryUrl": f"ecr.test/{args.name}"}
        return f"{args.name}-id", {**made_up, **COMPUTED.get(args.typ, {}), **args.inputs}

    def call(self, args: Any) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program looks {args.token} up; pass facts in")


class _Monitor(MockMonitor):
    def __init__(self, project: str, stack: str, stacks: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(_Echo(stacks))
        self.project, self.stack = project, stack
        self.recording = Recording()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: every parent's type, but not the stack's."""
        chain = parent.split("::")[2] if parent else ""
        qualified = type_ if chain in {"", "pulumi:pulumi:Stack"} else f"{chain}${type_}"
        return f"urn:pulumi:{self.stack}::{self.project}::{qualified}::{name}"

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names its methods
        response = super().ReadResource(request)  # type: ignore[no-untyped-call]
        self._record(request, request.properties, response.urn)
        return response

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._record(request, request.object, response.urn)
        return response

    def _record(self, request: Any, inputs: struct_pb2.Struct, urn: str) -> None:
        secrets: set[str] = set()
        self.recording.append(
            Registered(
                urn=urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                inputs=_plain(struct_pb2.Value(struct_value=inputs), "", secrets),
                secrets=frozenset(secrets),
                provider=request.provider,
                dependencies=tuple(request.dependencies),
                protect=getattr(request, "protect", False),
                deleted_with=getattr(request, "deletedWith", ""),
                ignored=tuple(getattr(request, "ignoreChanges", ())),
                links={key: tuple(found.urns) for key, found in getattr(request, "propertyDependencies", {}).items()},
            )
        )


def record(
    program: Callable[[], object],
    stack: str = "local",
    stacks: Mapping[str, Mapping[str, Any]] | None = None,
    config: Mapping[str, str] | None = None,
    project: str = PROJECT,
) -> Recording:
    """Run `program` as an update of `stack`, and return what it registered.

    `stacks`: the outputs of the stacks that it reads, by full name. `config`: what is set, all of it secret.
    """
    monitor = _Monitor(project, stack, stacks or {})
    set_mocks(monitor.mocks, project=project, stack=stack, preview=False, monitor=monitor)
    pulumi.runtime.set_all_config(dict(config or {}), list(config or {}))

    root = get_root_resource()
    assert isinstance(root, Stack)
    root.outputs.clear()  # one root serves a whole process

    def run() -> pulumi.Output[None]:
        program()
        return pulumi.Output.all(**root.outputs).apply(monitor.recording.outputs.update)

    pulumi.runtime.test(run)()  # type: ignore[no-untyped-call]
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
