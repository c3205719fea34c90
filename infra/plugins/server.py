"""A Pulumi resource provider as a table: one row a resource type, and this file the gRPC around them.

A row says which properties it knows, which of them cannot change in place, and how to create, read, update and delete.
Everything a row does not know is refused by name. Comparing is done here and needs no network, so a preview without
changes makes no call to the API behind the provider.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from plugins import protocol, wire

# The engine runs up to 16 operations a core at once, and one that waits for readiness holds its thread.
THREADS = 64
DEFAULT_TIMEOUT_SECONDS = 300.0


class ProviderError(Exception):
    """A failure with a message that tells the reader what to do; nothing was changed by the failed call."""


class InitializationError(Exception):
    """The resource exists but did not become ready; the engine records it and tries an update next time."""

    def __init__(self, identifier: str, outputs: dict[str, Any], reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.identifier, self.outputs, self.reasons = identifier, outputs, reasons


@dataclass(frozen=True)
class Problem:
    """An input that a row refuses: the property's path, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Deadline:
    """How long a call may wait, and whether the engine has asked to stop."""

    seconds: float = DEFAULT_TIMEOUT_SECONDS
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)

    def wait(self, interval: float) -> bool:
        """Sleep for `interval` seconds; False once the time is over or the engine cancels."""
        left = self.seconds - (time.monotonic() - self.started)
        return left > 0 and not self.cancelled.wait(min(interval, left))


class Row(ABC):
    """One resource type. Inputs and outputs are plain data; identifiers are strings."""

    # How long a call may take where the program says nothing about it.
    patience: float = DEFAULT_TIMEOUT_SECONDS

    def completed(self, name: str, inputs: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        """The inputs with what the provider fills in, such as a name made from the resource's own.

        `olds` are the inputs of before, empty for a new resource and for one that replaces another.
        """
        return inputs

    def foreseen(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """The outputs that a preview knows an update to have: `olds` are those of before, `news` the inputs."""
        return news

    def changes(self, olds: dict[str, Any], news: dict[str, Any]) -> Iterable[wire.Difference]:
        """Where new inputs differ from the old ones in what they mean."""
        return wire.differences(olds, news)

    @abstractmethod
    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        """The inputs this row refuses."""

    @abstractmethod
    def replaces(self, change: wire.Difference, olds: dict[str, Any]) -> bool:
        """Whether this change needs a new resource."""

    @abstractmethod
    def same_identity(self, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        """Whether old and new would be the same physical resource, so the old one must be deleted first."""

    @abstractmethod
    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        """Create, or adopt what an interrupted create left; returns the identifier and the outputs."""

    @abstractmethod
    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The inputs and outputs as they are now, or None when the resource is gone."""

    @abstractmethod
    def update(
        self,
        identifier: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        deadline: Deadline,
        outputs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Change in place; returns the outputs. `outputs` are those of before."""

    @abstractmethod
    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        """Delete and wait until it is gone; succeeds when it was gone already."""


class Provider(ABC):
    """A table of rows and the settings they share."""

    name: str
    version: str
    settings: frozenset[str]
    # Whether it is shown which inputs are secrets; what of its outputs is one is then its own business (`sealed`).
    keeps_secrets = False

    @abstractmethod
    def configure(self, settings: dict[str, Any]) -> None:
        """Keep the settings; must not reach for the network. Raises ProviderError."""

    @abstractmethod
    def row(self, token: str) -> Row | None:
        """The row of a type token, or None for one that this plugin does not have."""

    def sealed(self, values: dict[str, Any], given: struct_pb2.Struct) -> dict[str, Any]:
        """Inputs or outputs with their secrets marked, for which `given` are inputs with theirs."""
        return values

    @abstractmethod
    def tokens(self) -> list[str]:
        """The type tokens in the table."""


def unknown_properties(inputs: Mapping[str, Any], known: Iterable[str], token: str) -> Iterable[Problem]:
    """A problem for each top-level property of `inputs` that is not in `known`."""
    names = sorted(known)
    for key in sorted(inputs):
        if key not in names:
            yield Problem(key, f"the offline plugin does not implement {key!r} of {token}; it has {', '.join(names)}")


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The gRPC face of a Provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.cancelled = threading.Event()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        given = [key for key in request.news.fields if key != "version"]
        token = f"pulumi:providers:{self.provider.name}"
        problems = unknown_properties(dict.fromkeys(given), self.provider.settings, token)
        return provider_pb2.CheckResponse(inputs=request.news, failures=[_failure(problem) for problem in problems])

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(
            changes=_changes(bool(_changed_fields(request.old_inputs, request.news))),
            diffs=sorted(_changed_fields(request.old_inputs, request.news)),
        )

    def Configure(self, request: Any, context: Any) -> Any:
        with _reported(context):
            self.provider.configure(wire.to_python(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=self.provider.keeps_secrets)

    def Check(self, request: Any, context: Any) -> Any:
        if request.olds == request.news:
            return provider_pb2.CheckResponse(inputs=request.news)
        row = self._row(request, context)
        with _reported(context):
            given = wire.to_python(request.news)
            name = request.name or request.urn.rpartition("::")[2]
            inputs = row.completed(name, given, wire.to_python(request.olds))
            failures = [_failure(problem) for problem in row.check(inputs)]
        return provider_pb2.CheckResponse(
            inputs=request.news if inputs is given else self._struct(inputs, request.news), failures=failures
        )

    def Diff(self, request: Any, context: Any) -> Any:
        if request.old_inputs == request.news:
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        row = self._row(request, context)
        with _reported(context):
            olds, news = wire.to_python(request.old_inputs), wire.to_python(request.news)
            found = [(item, row.replaces(item, olds)) for item in row.changes(olds, news)]
            details, replaces = {}, []
            for item, replace in found:
                kind = f"{item.kind}_REPLACE" if replace else item.kind
                details[str(item)] = provider_pb2.PropertyDiff(
                    kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True
                )
                if replace:
                    replaces.append(str(item))
        return provider_pb2.DiffResponse(
            changes=_changes(bool(found)),
            diffs=sorted({str(item.path[0]) for item, _ in found}),
            replaces=replaces,
            detailedDiff=details,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces) and row.same_identity(olds, news),
        )

    def Create(self, request: Any, context: Any) -> Any:
        row = self._row(request, context)
        if request.preview:
            # What a create gives beyond its inputs stays unknown.
            return provider_pb2.CreateResponse(properties=request.properties)
        with _reported(context, self, request.properties):
            identifier, outputs = row.create(wire.to_python(request.properties), self._deadline(request, row))
        return provider_pb2.CreateResponse(id=identifier, properties=self._struct(outputs, request.properties))

    def Read(self, request: Any, context: Any) -> Any:
        row = self._row(request, context)
        with _reported(context):
            found = row.read(request.id, wire.to_python(request.inputs), wire.to_python(request.properties))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = found
        return provider_pb2.ReadResponse(
            id=request.id,
            inputs=self._struct(inputs, request.inputs),
            properties=self._struct(outputs, request.inputs),
        )

    def Update(self, request: Any, context: Any) -> Any:
        row = self._row(request, context)
        if request.preview:
            with _reported(context):
                outputs = row.foreseen(wire.to_python(request.olds), wire.to_python(request.news))
            return provider_pb2.UpdateResponse(properties=self._struct(outputs, request.news))
        with _reported(context, self, request.news):
            outputs = row.update(
                request.id,
                wire.to_python(request.old_inputs),
                wire.to_python(request.news),
                self._deadline(request, row),
                wire.to_python(request.olds),
            )
        return provider_pb2.UpdateResponse(properties=self._struct(outputs, request.news))

    def Delete(self, request: Any, context: Any) -> Any:
        row = self._row(request, context)
        with _reported(context):
            row.delete(request.id, wire.to_python(request.old_inputs), self._deadline(request, row))
        return empty_pb2.Empty()

    def _struct(self, values: dict[str, Any], given: struct_pb2.Struct) -> struct_pb2.Struct:
        return wire.to_struct(self.provider.sealed(values, given))

    def _row(self, request: Any, context: Any) -> Row:
        token = request.type or request.urn.split("::")[2].rpartition("$")[2]
        row = self.provider.row(token)
        if row is None:
            known = ", ".join(self.provider.tokens())
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"the offline plugin does not implement {token}; it has {known}"
            )
        assert row, "abort raises"
        return row

    def _deadline(self, request: Any, row: Row) -> Deadline:
        return Deadline(seconds=request.timeout or row.patience, cancelled=self.cancelled)


class _reported:  # noqa: N801 - a context manager that reads as a word
    """Turn what a row raises into the status that the engine understands."""

    def __init__(self, context: Any, servicer: Servicer | None = None, inputs: Any = None) -> None:
        self.context, self.servicer, self.inputs = context, servicer, inputs

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            return
        if isinstance(error, InitializationError) and self.servicer:
            _abort_created(self.context, error, self.servicer._struct(error.outputs, self.inputs), self.inputs)
        if isinstance(error, ProviderError | ValueError):
            # Any code but UNKNOWN and INTERNAL tells the engine that the state is as it was.
            self.context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        if isinstance(error, Exception):
            self.context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _abort_created(context: Any, error: InitializationError, outputs: Any, inputs: Any) -> NoReturn:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=error.identifier, properties=outputs, inputs=inputs, reasons=error.reasons
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
    raise AssertionError("abort raises")


def _failure(problem: Problem) -> Any:
    return provider_pb2.CheckFailure(property=problem.path, reason=problem.reason)


def _changes(some: bool) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if some else provider_pb2.DiffResponse.DIFF_NONE


def _changed_fields(old: Any, new: Any) -> set[str]:
    keys = (set(old.fields) | set(new.fields)) - {"version"}
    return {key for key in keys if old.fields.get(key) != new.fields.get(key)}


def serve(provider: Provider) -> None:
    """Serve until the engine ends this process or goes away."""
    protocol.allow_deep_messages()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=THREADS), options=protocol.GRPC_OPTIONS)
    servicer = Servicer(provider)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    protocol.exit_with_parent()
    protocol.announce(port)
    server.wait_for_termination()


__all__ = [
    "Deadline",
    "InitializationError",
    "Problem",
    "Provider",
    "ProviderError",
    "Row",
    "Servicer",
    "serve",
    "unknown_properties",
]
