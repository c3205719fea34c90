"""A provider over real gRPC: refusals by name, differences without a call, errors as the engine knows them."""

from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from plugins.server import (
    Deadline,
    InitializationError,
    Problem,
    Provider,
    ProviderError,
    Row,
    Servicer,
    unknown_properties,
)
from plugins.wire import Difference, to_python, to_struct

TYPE = "thing:index:Thing"
URN = f"urn:pulumi:s::p::{TYPE}::one"


class ThingRow(Row):
    """A thing with a name, which cannot change, and a size."""

    patience = 90.0

    def completed(self, name: str, inputs: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        return inputs if "name" in inputs else {**inputs, "name": olds.get("name") or f"{name}-made"}

    def foreseen(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        return {**olds, **news}

    def __init__(self, provider: "Things") -> None:
        self.provider = provider

    def check(self, inputs: dict[str, Any]) -> Iterable[Problem]:
        yield from unknown_properties(inputs, {"name", "size"}, TYPE)

    def replaces(self, change: Difference, olds: dict[str, Any]) -> bool:
        return change.path[0] == "name"

    def same_identity(self, olds: dict[str, Any], news: dict[str, Any]) -> bool:
        return bool(olds["name"] == news["name"])

    def create(self, inputs: dict[str, Any], deadline: Deadline) -> tuple[str, dict[str, Any]]:
        self.provider.calls.append("create")
        if inputs["name"] == "half":
            raise InitializationError("half-id", inputs, ["it is not ready"])
        if inputs["name"] == "bad":
            raise ProviderError("the store is away; start it")
        if inputs["name"] == "bug":
            raise KeyError("surprise")
        return f"{inputs['name']}-id", {**inputs, "made": True}

    def read(
        self, identifier: str, inputs: dict[str, Any], outputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        self.provider.calls.append("read")
        return None if identifier == "gone" else (inputs, outputs)

    def update(
        self,
        identifier: str,
        olds: dict[str, Any],
        news: dict[str, Any],
        deadline: Deadline,
        outputs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        self.provider.outputs = outputs
        self.provider.calls.append(f"update within {deadline.seconds:.0f}")
        return {**news, "made": True}

    def delete(self, identifier: str, inputs: dict[str, Any], deadline: Deadline) -> None:
        self.provider.calls.append("delete")


class Things(Provider):
    name, version, settings = "thing", "1.2.3", frozenset({"region"})

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.configured: dict[str, Any] = {}
        self.outputs: dict[str, Any] | None = None

    def configure(self, settings: dict[str, Any]) -> None:
        self.configured = settings

    def row(self, token: str) -> Row | None:
        return ThingRow(self) if token == TYPE else None

    def tokens(self) -> list[str]:
        return [TYPE]


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def stub(things: Things) -> Iterator[Any]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(things), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(0).wait()


def _check(stub: Any, **news: Any) -> Any:
    return stub.Check(provider_pb2.CheckRequest(urn=URN, type=TYPE, news=to_struct(news)))


def _diff(stub: Any, old: dict[str, Any], new: dict[str, Any]) -> Any:
    return stub.Diff(
        provider_pb2.DiffRequest(urn=URN, id="i", old_inputs=to_struct(old), olds=to_struct(old), news=to_struct(new))
    )


def _create(stub: Any, **options: Any) -> Any:
    name = options.pop("name", "one")
    return stub.Create(provider_pb2.CreateRequest(urn=URN, properties=to_struct({"name": name}), **options))


def test_an_unknown_type_is_refused_by_name(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(provider_pb2.CheckRequest(urn=URN, type="thing:index:Other", news=to_struct({"a": 1})))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == f"the offline plugin does not implement thing:index:Other; it has {TYPE}"


def test_the_type_is_found_in_the_urn_of_a_child_too(stub: Any) -> None:
    request = provider_pb2.CheckRequest(urn=f"urn:pulumi:s::p::a:b:C${TYPE}::one", news=to_struct({"name": "n"}))
    assert not stub.Check(request).failures


def test_an_unknown_property_is_refused_by_name(stub: Any) -> None:
    (failure,) = _check(stub, name="n", colour="red").failures
    assert failure.property == "colour"
    assert failure.reason == f"the offline plugin does not implement 'colour' of {TYPE}; it has name, size"


def test_what_a_row_fills_in_is_checked_and_kept(stub: Any) -> None:
    assert to_python(_check(stub, size=1).inputs) == {"name": "one-made", "size": 1}
    request = provider_pb2.CheckRequest(urn=URN, olds=to_struct({"name": "before"}), news=to_struct({"size": 1}))
    assert to_python(stub.Check(request).inputs) == {"name": "before", "size": 1}


def test_an_update_without_a_time_has_the_rows(stub: Any, things: Things) -> None:
    state = to_struct({"name": "one"})
    stub.Update(provider_pb2.UpdateRequest(urn=URN, id="i", old_inputs=state, news=state))
    assert things.calls == ["update within 90"]


def test_a_preview_of_an_update_tells_what_the_row_foresees(stub: Any) -> None:
    olds, news = to_struct({"name": "n", "made": True}), to_struct({"name": "n", "size": 2})
    answer = stub.Update(provider_pb2.UpdateRequest(urn=URN, id="i", olds=olds, news=news, preview=True))
    assert to_python(answer.properties) == {"name": "n", "made": True, "size": 2}


def test_an_update_is_told_the_outputs_of_before(stub: Any, things: Things) -> None:
    old, outputs = to_struct({"name": "one"}), to_struct({"name": "one", "by": "somebody"})
    stub.Update(provider_pb2.UpdateRequest(urn=URN, id="i", old_inputs=old, olds=outputs, news=old))
    assert things.outputs == {"name": "one", "by": "somebody"}


def test_an_unknown_setting_is_refused_by_name(stub: Any) -> None:
    request = provider_pb2.CheckRequest(news=to_struct({"region": "r", "profile": "p", "version": "7.0.0"}))
    (failure,) = stub.CheckConfig(request).failures
    assert failure.property == "profile"


def test_settings_arrive(stub: Any, things: Things) -> None:
    answer = stub.Configure(provider_pb2.ConfigureRequest(args=to_struct({"region": "r"})))
    assert things.configured == {"region": "r"}
    assert answer.supportsPreview
    assert not answer.acceptSecrets, "the engine then strips and marks secrets itself"


def test_no_change_asks_nobody(stub: Any, things: Things) -> None:
    answer = _diff(stub, {"name": "n"}, {"name": "n"})
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert things.calls == []


def test_a_change_in_place(stub: Any) -> None:
    answer = _diff(stub, {"name": "n", "size": 1}, {"name": "n", "size": 2})
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(answer.diffs) == ["size"]
    assert not answer.replaces
    assert answer.detailedDiff["size"].kind == provider_pb2.PropertyDiff.UPDATE


def test_a_replacement_of_another_name_is_made_first_and_of_the_same_name_last(stub: Any) -> None:
    answer = _diff(stub, {"name": "n"}, {"name": "m"})
    assert list(answer.replaces) == ["name"]
    assert not answer.deleteBeforeReplace
    assert answer.detailedDiff["name"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


def test_a_preview_changes_nothing(stub: Any, things: Things) -> None:
    assert to_python(_create(stub, preview=True).properties) == {"name": "one"}
    olds = to_struct({"name": "n"})
    stub.Update(provider_pb2.UpdateRequest(urn=URN, id="i", olds=olds, news=olds, preview=True))
    assert things.calls == []


def test_create_read_update_delete(stub: Any, things: Things) -> None:
    created = _create(stub)
    assert (created.id, to_python(created.properties)) == ("one-id", {"name": "one", "made": True})
    state = to_struct({"name": "one"})
    read = stub.Read(provider_pb2.ReadRequest(urn=URN, id="one-id", inputs=state, properties=state))
    assert (read.id, to_python(read.inputs)) == ("one-id", {"name": "one"})
    assert stub.Read(provider_pb2.ReadRequest(urn=URN, id="gone", inputs=state, properties=state)).id == ""
    update = provider_pb2.UpdateRequest(urn=URN, id="one-id", old_inputs=state, news=state, timeout=7)
    assert to_python(stub.Update(update).properties)["made"] is True
    stub.Delete(provider_pb2.DeleteRequest(urn=URN, id="one-id", old_inputs=state))
    assert things.calls == ["create", "read", "read", "update within 7", "delete"]


def test_a_failure_with_a_message_leaves_the_state_alone(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        _create(stub, name="bad")
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "the store is away; start it"


def test_a_bug_is_told_with_its_kind_and_without_a_traceback(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        _create(stub, name="bug")
    assert failed.value.code() == grpc.StatusCode.INTERNAL
    assert failed.value.details() == "KeyError: 'surprise'"


def test_what_exists_but_is_not_ready_is_kept(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        _create(stub, name="half")
    metadata = dict(failed.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("half-id", ["it is not ready"])
    assert to_python(detail.properties) == {"name": "half"}


def test_cancelling_ends_a_wait(stub: Any) -> None:
    deadline = Deadline(seconds=60)
    deadline.cancelled.set()
    assert not deadline.wait(60)
    assert not Deadline(seconds=0).wait(1)
    assert Deadline(seconds=60).wait(0.01)
