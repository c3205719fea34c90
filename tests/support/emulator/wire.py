"""The wire format of AWS's JSON APIs, read from botocore's service models: `json` and `rest-json`, the server's side.

A request that the model does not allow gets a ValidationException, as from AWS; an answer that it does not allow is an
error of the emulator.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

PATTERN_FIELD = re.compile(r"\\\{(\w+)\\\}")


class Failure(Exception):
    """An error that a service's model knows, by its code; `members` are the fields beside its message."""

    def __init__(self, code: str, message: str, **members: str) -> None:
        super().__init__(message)
        self.code, self.message, self.members = code, message, members


@dataclass(frozen=True)
class Request:
    """An HTTP request: `target` is path and query as they were sent, still encoded."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """An HTTP response with a JSON body."""

    status: int
    headers: dict[str, str]
    body: bytes


@functools.cache
def model(service: str) -> ServiceModel:
    """botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def operation(service: str, request: Request) -> OperationModel | None:
    """The operation that a request asks for; None where the service has none like it."""
    api = model(service)
    if api.metadata["protocol"] == "json":
        prefix, _, name = request.headers.get("X-Amz-Target", "").partition(".")
        known = prefix == api.metadata["targetPrefix"] and name in api.operation_names
        return api.operation_model(name) if known else None
    path = urlsplit(request.target).path
    for method, pattern, name in _routes(service):
        if method == request.method and pattern.fullmatch(path):
            return api.operation_model(name)
    return None


def parameters(found: OperationModel, request: Request) -> dict[str, Any]:
    """The operation's input. Raises Failure where the model does not allow it."""
    shape = found.input_shape
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        raise Failure("SerializationException", "the body is no JSON") from None
    members = dict(body)
    if found.service_model.metadata["protocol"] == "rest-json":
        members |= _from_target(found, request)
    unknown = sorted(set(members) - set(shape.members)) if shape else sorted(members)
    if unknown:
        raise Failure("ValidationException", f"{found.name} has no member {', '.join(unknown)}")
    if shape:
        report = ParamValidator().validate(members, shape)
        if report.has_errors():
            raise Failure("ValidationException", report.generate_report())
        _refuse_unknown(members, shape, found.name)
    return members


def answer(found: OperationModel, output: Mapping[str, Any]) -> Answer:
    """The HTTP response for an output. Raises AssertionError where the model has no such output."""
    shape = found.output_shape
    assert shape is not None or not output, f"{found.name} answers nothing"
    if shape is not None:
        report = ParamValidator().validate(dict(output), shape)
        assert not report.has_errors(), f"{found.name}: {report.generate_report()}"
        _refuse_unknown(output, shape, found.name)
    return Answer(int(found.http.get("responseCode", 200)), _headers(found), _dump(output))


def failure(service: str, found: OperationModel | None, error: Failure) -> Answer:
    """The HTTP response for an error: code, status and members as the service's model has them."""
    api, status = model(service), HTTPStatus.BAD_REQUEST
    body: dict[str, Any] = {"message": error.message}
    known = {shape.name: shape for shape in found.error_shapes} if found else {}
    if shape := known.get(error.code):
        status = shape.metadata.get("error", {}).get("httpStatusCode", status)
        body |= {name: value for name, value in error.members.items() if name in shape.members}
    if api.metadata["protocol"] == "json":
        body["__type"] = error.code
    headers = {"x-amzn-errortype": error.code, "Content-Type": _content_type(api)}
    return Answer(int(status), headers, _dump(body))


@functools.cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    """Method, path and operation, the most literal first: /a/b before /a/{x}."""
    api = model(service)
    found = []
    for name in api.operation_names:
        http = api.operation_model(name).http
        path = http["requestUri"].partition("?")[0]
        pattern = PATTERN_FIELD.sub(r"(?P<\1>[^/]+)", re.escape(path))
        found.append((path.count("{"), http["method"], re.compile(pattern + "/?"), name))
    return [item[1:] for item in sorted(found, key=lambda item: item[0])]


def _from_target(found: OperationModel, request: Request) -> dict[str, Any]:
    """The members that a REST request has in its path and query."""
    target = urlsplit(request.target)
    _, pattern, _ = next(route for route in _routes(found.service_model.service_name) if route[2] == found.name)
    match = pattern.fullmatch(target.path)
    assert match, f"{request.target} is no path of {found.name}"
    query = parse_qs(target.query, keep_blank_values=True)
    members: dict[str, Any] = {}
    for name, shape in found.input_shape.members.items() if found.input_shape else ():
        where, sent_as = shape.serialization.get("location"), shape.serialization.get("name", name)
        if where == "uri":
            members[name] = unquote(match[sent_as])
        elif where == "querystring" and sent_as in query:
            members[name] = _from_query(shape, query[sent_as])
    return members


def _from_query(shape: Shape, values: list[str]) -> Any:
    match shape.type_name:
        case "list":
            return values
        case "integer" | "long":
            return int(values[-1])
        case "boolean":
            return values[-1] == "true"
        case _:
            return values[-1]


def _refuse_unknown(value: Any, shape: Shape, where: str) -> None:
    """botocore's validator lets unknown members pass; an API does not answer with them."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        for name, item in value.items():
            if name not in shape.members:
                raise Failure("ValidationException", f"{where} has no member {name}")
            _refuse_unknown(item, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _refuse_unknown(item, shape.member, where)
    elif shape.type_name == "map":
        for item in value.values():
            _refuse_unknown(item, shape.value, where)


def method_name(found: OperationModel) -> str:
    """The name of the method that carries out an operation: `create_cluster` for CreateCluster."""
    return str(xform_name(found.name))


def _headers(found: OperationModel) -> dict[str, str]:
    return {"Content-Type": _content_type(found.service_model)}


def _content_type(api: ServiceModel) -> str:
    version = api.metadata.get("jsonVersion", "1.1")
    return f"application/x-amz-json-{version}" if api.metadata["protocol"] == "json" else "application/json"


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, default=_scalar).encode()


def _scalar(value: Any) -> float:
    assert isinstance(value, datetime), value
    return value.timestamp()
