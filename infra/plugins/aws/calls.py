"""Calls of the AWS API as data: an operation, and parameters with `{placeholders}` for what they are about."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plugins.aws import fields
from plugins.aws.errors import ApiError
from plugins.aws.fields import ABSENT, dig
from plugins.server import Deadline, ProviderError

if TYPE_CHECKING:
    from plugins.aws.provider import Aws
    from plugins.aws.row import Type

_PLACEHOLDER = re.compile(r"\{([\w.]+)\}")


@dataclass
class Thing:
    """One resource in the middle of an operation: what is known of it, and the calls about it.

    `olds` are the inputs of before an update, `live` is what the API answered last.
    """

    aws: "Aws"
    type: "Type"
    inputs: dict[str, Any]
    id: str = ""
    olds: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)
    deadline: Deadline = field(default_factory=Deadline)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call of the type's service. Raises ApiError for what the API refuses, ProviderError where it is away."""
        with self._explained():
            answer: dict[str, Any] = getattr(self.aws.client(self.type.service), operation)(**parameters)
        return answer

    def pages(self, operation: str, path: str, **parameters: Any) -> Iterator[Any]:
        """All items of a call that answers in pages; `path` is where a page has them,
        and without one the pages themselves are meant. Raises as `call` does."""
        with self._explained():
            for page in self.aws.client(self.type.service).get_paginator(operation).paginate(**parameters):
                items = dig(page, path) if path else [page]
                yield from [] if items is ABSENT else items

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            about = error.response["Error"]
            raise ApiError(self.subject, str(about.get("Code")), about.get("Message") or str(error)) from None
        except BotoCoreError as error:
            raise ProviderError(f"{self.subject}: {error}; {self.aws.advice(self.type.service, error)}") from None

    def wanted(self, *names: str) -> dict[str, Any]:
        """Call parameters for the named properties (all, if none is named): inputs, or else the API's defaults."""
        chosen = [one for one in self.type.fields if one.name in names or (not names and not one.later)]
        given = dict(self.inputs)
        for one in chosen:
            if one.name in names and given.get(one.name) is None and one.default is not None:
                given[one.name] = one.default
        return fields.request(chosen, given)

    def fill(self, template: Any) -> Any:
        """A template with its placeholders filled in, however deep they lie."""
        if isinstance(template, dict):
            return {key: self.fill(item) for key, item in template.items()}
        if isinstance(template, list):
            return [self.fill(item) for item in template]
        return _PLACEHOLDER.sub(self._value, template) if isinstance(template, str) else template

    def _value(self, match: re.Match[str]) -> str:
        name = match[1]
        if name == "id":
            return self.id
        if name in ("region", "account", "partition"):
            return str(getattr(self.aws, name))
        if name in self.inputs:
            return str(self.inputs[name])
        value = dig(self.live, name)
        if value is ABSENT:
            raise ProviderError(f"{self.subject}: its {name} is not known; run  pulumi refresh  and try again")
        return str(value)

    @property
    def subject(self) -> str:
        """What messages call it."""
        name = self.id or next((self.inputs[key] for key in self.type.named_by if self.inputs.get(key)), "")
        return f"{self.type.noun} {name}".strip()


Step = Callable[[Thing], Any]


class Call:
    """A call whose parameters are templates; `body` adds the inputs, all of them or those that are named."""

    def __init__(self, operation: str, *, body: bool | tuple[str, ...] = False, **parameters: Any) -> None:
        self.operation, self.body, self.parameters = operation, body, parameters

    def __call__(self, thing: Thing) -> dict[str, Any]:
        given = thing.wanted(*(self.body if isinstance(self.body, tuple) else ())) if self.body else {}
        return thing.call(self.operation, **given, **thing.fill(self.parameters))


class Describe(Call):
    """A call that tells what is there; `path` is where its answer has the resource."""

    def __init__(self, operation: str, path: str = "", **parameters: Any) -> None:
        super().__init__(operation, **parameters)
        self.path = path

    def __call__(self, thing: Thing) -> dict[str, Any]:
        """Raises ApiError when it is not there."""
        found = dig(super().__call__(thing), self.path)
        if found is ABSENT:
            raise ApiError(thing.subject, "NotFound", "is not there")
        assert isinstance(found, dict)
        return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def steps(*all_: Step) -> Step:
    """Several steps as one; the answer is the last one's."""

    def run(thing: Thing) -> Any:
        answer = None
        for step in all_:
            answer = step(thing)
        return answer

    return run


def tolerant(step: Step, *codes: str) -> Step:
    """A step that has succeeded already where the API answers with one of these codes."""

    def run(thing: Thing) -> Any:
        try:
            return step(thing)
        except ApiError as error:
            if error.code not in codes:
                raise
            return {}

    return run


def absent(thing: Thing) -> ApiError:
    """The error for a resource that a list does not have."""
    return ApiError(thing.subject, "NotFound", "is not there")


@dataclass(frozen=True)
class Change:
    """How properties change in place: one step for all of them. `unset` is for when the inputs no longer have any."""

    names: tuple[str, ...]
    step: Step
    unset: Step | None = None


@dataclass(frozen=True)
class Wait:
    """When a resource is ready and when it is gone, by the state that the API tells."""

    state: str
    ready: tuple[str, ...]
    pending: tuple[str, ...]
    gone: tuple[str, ...] = ()
    lingers: bool = False  # is still there for a while after it was deleted
    reason: str = ""
