"""The extension speaks botocore's model of each API: every operation exists there, with members, types and errors."""

import ast
import inspect
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.model import OperationModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from emulator import ecr, eks, eks_access, eks_addons, eks_node_groups, wire
from emulator.ecr import Ecr
from emulator.eks import Eks
from emulator.process import Emulator

BACKENDS = {"ecr": Ecr, "eks": Eks}
SOURCES = {"ecr": (ecr,), "eks": (eks, eks_access, eks_addons, eks_node_groups)}
HELPERS = {"active_cluster", "admit_creator", "admit_nodes", "cluster", "named", "record_update"}


def operations(service: str) -> list[OperationModel]:
    """What the extension carries out of a service."""
    api = wire.model(service)
    found = (api.operation_model(name) for name in api.operation_names)
    return [one for one in found if hasattr(BACKENDS[service], wire.method_name(one))]


CARRIED_OUT = [
    pytest.param(service, one, id=f"{service}-{one.name}") for service in BACKENDS for one in operations(service)
]

WITH_BODY = [one for one in CARRIED_OUT if one.values[1].http["method"] != "GET"]


@pytest.mark.parametrize("service", BACKENDS)
def test_every_public_method_is_an_operation(service: str) -> None:
    public = {name for name, _ in inspect.getmembers(BACKENDS[service], inspect.isfunction) if not name.startswith("_")}
    assert public - HELPERS == {wire.method_name(one) for one in operations(service)}


def example(shape: Shape, required_only: bool = False) -> Any:  # noqa: PLR0911 - one answer a type
    """A value that the shape allows."""
    match shape.type_name:
        case "structure":
            names = shape.required_members if required_only else shape.members
            return {name: example(shape.members[name], required_only) for name in names}
        case "list":
            return [example(shape.member, required_only)]
        case "map":
            return {"key": example(shape.value, required_only)}
        case "integer" | "long":
            return max(3, shape.metadata.get("min", 0))
        case "boolean":
            return True
        case "timestamp":
            return "2026-01-02T03:04:05Z"
        case _:
            return (shape.enum[0] if getattr(shape, "enum", None) else "a/b c").ljust(shape.metadata.get("min", 0), "x")


def sent(service: str, one: OperationModel, members: dict[str, Any]) -> wire.Request:
    """The request that botocore sends for these members."""
    protocol = wire.model(service).metadata["protocol"]
    made = create_serializer(protocol, include_validation=False).serialize_to_request(members, one)
    body = made["body"]
    query = urlencode(made.get("query_string") or {}, doseq=True)
    target = made["url_path"] + (f"?{query}" if query else "")
    return wire.Request(
        made["method"], target, made["headers"], body if isinstance(body, bytes) else str(body).encode()
    )


@pytest.mark.parametrize(("service", "one"), CARRIED_OUT)
def test_request_is_understood_as_botocore_sends_it(service: str, one: OperationModel) -> None:
    members = example(one.input_shape, required_only=True)
    request = sent(service, one, members)
    found = wire.operation(service, request)
    assert found is not None
    assert found.name == one.name
    assert wire.parameters(found, request) == members


@pytest.mark.parametrize(("service", "one"), CARRIED_OUT)
def test_required_members_are_required(service: str, one: OperationModel) -> None:
    for name in one.input_shape.required_members:
        if one.input_shape.members[name].serialization.get("location") == "uri":
            continue  # without it the request is another one
        members = example(one.input_shape, required_only=True)
        del members[name]
        with pytest.raises(wire.Failure, match=name) as caught:
            wire.parameters(one, sent(service, one, members))
        assert caught.value.code == "ValidationException"


@pytest.mark.parametrize(("service", "one"), WITH_BODY)
def test_unknown_members_are_refused(service: str, one: OperationModel) -> None:
    request = sent(service, one, example(one.input_shape, required_only=True))
    body = json.loads(request.body or b"{}") | {"surprise": 1}
    with pytest.raises(wire.Failure, match="surprise"):
        wire.parameters(one, wire.Request(request.method, request.target, request.headers, json.dumps(body).encode()))


@pytest.mark.parametrize(("service", "one"), CARRIED_OUT)
def test_answer_outside_of_the_model_is_an_error_of_ours(service: str, one: OperationModel) -> None:
    with pytest.raises((AssertionError, wire.Failure)):
        wire.answer(one, {"surprise": 1})


def raised(service: str) -> set[str]:
    """The error codes that the extension's source names."""
    trees = [ast.parse(inspect.getsource(module)) for module in SOURCES[service]]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Failure"]
    return {call.args[0].value for call in names if isinstance(call.args[0], ast.Constant)}


@pytest.mark.parametrize("service", BACKENDS)
def test_every_error_is_one_of_the_service(service: str) -> None:
    codes = raised(service)
    assert codes
    known = {shape.name for one in operations(service) for shape in one.error_shapes}
    assert codes <= known


@pytest.mark.parametrize("service", BACKENDS)
def test_errors_are_parsed_by_botocore(service: str) -> None:
    for one in operations(service):
        for shape in one.error_shapes:
            answer = wire.failure(service, one, wire.Failure(shape.name, "because", clusterName="c"))
            assert answer.status == shape.metadata.get("error", {}).get("httpStatusCode", 400)
            parser = create_parser(wire.model(service).metadata["protocol"])
            response = {"body": answer.body, "headers": answer.headers, "status_code": answer.status}
            assert parser.parse(response, one.output_shape)["Error"] == {"Code": shape.name, "Message": "because"}
            assert set(parser.parse(response, shape)) - {"ResponseMetadata"} <= set(shape.members)


def test_what_the_extension_lacks_is_said(aws: Emulator) -> None:
    client = aws.client("eks")
    with pytest.raises(client.exceptions.ClientError, match="the emulator has no ListInsights") as caught:
        client.list_insights(clusterName="c")
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


def test_moto_answers_the_rest_of_ecr(aws: Emulator) -> None:
    client = aws.client("ecr")
    client.create_repository(repositoryName="rest")
    try:
        assert [one["repositoryName"] for one in client.describe_repositories()["repositories"]] == ["rest"]
    finally:
        client.delete_repository(repositoryName="rest")
