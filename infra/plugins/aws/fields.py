"""The properties of a resource type: what Pulumi calls them, what the AWS API calls them, and how the two compare.

A table of fields checks inputs (unknown names are refused at every depth), makes the parameters of API calls, and reads
what the API answers back in the terms of inputs. None of it needs the AWS SDK.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from plugins.server import Problem
from plugins.wire import DEFAULTS, is_unknown

Kind = Literal["value", "set", "map", "document", "object", "objects"]
ABSENT = object()
EMPTY: tuple[Any, ...] = (None, "", [], {}, False)


@dataclass(frozen=True)
class Field:
    """One property. Paths are dotted; in what the API answers, a number is a place in a list and `*` is all of them."""

    name: str
    member: str  # where it goes in a call's parameters
    live: str  # where it is found in what the API answers
    kind: Kind = "value"
    fields: tuple["Field", ...] = ()  # of an object, or of each object of a list
    fixed: bool = False  # the API cannot change it in place
    pinned: bool = False  # the API can change its value, but it cannot come or go
    required: bool = False
    later: bool = False  # set by a call of its own, after the one that creates
    local: bool = False  # for the provider only; the API never sees it
    write_only: bool = False  # the API takes it, and does not tell it again
    default: Any = None  # what the API takes it for when it is left out
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None


def _field(style: Callable[[str], str], name: str, member: str | None = None, **options: Any) -> Field:
    member = style(name) if member is None else member
    kind = options.pop("kind", "object" if "fields" in options else "value")
    return Field(name, member, options.pop("live", member), kind, **options)


pascal = partial(_field, lambda name: name[:1].upper() + name[1:])
camel = partial(_field, lambda name: name)
# A number or a truth value that Pulumi's schema has as text.
TEXT_BOOLEAN: dict[str, Any] = {
    "encode": lambda text: text in (True, "true"),
    "decode": lambda flag: "true" if flag else "false",
}
# One object for Pulumi, a list with one for the API; and the other way round.
LISTED: dict[str, Any] = {
    "encode": lambda item: [item],
    "decode": lambda items: items[0] if items else {},
}
UNLISTED: dict[str, Any] = {"encode": lambda items: items[0], "decode": lambda item: [item]}


def local(name: str, default: Any = None) -> Field:
    """A property that steers the provider and is in no call."""
    return Field(name, "", "", local=True, default=default)


def dig(document: Any, path: str) -> Any:
    """What lies at a dotted path, or ABSENT."""
    for index, part in enumerate(parts := path.split(".") if path else []):
        if part == "*":
            rest = ".".join(parts[index + 1 :])
            return [dig(item, rest) for item in document] if isinstance(document, list) else ABSENT
        if isinstance(document, list) and part.isdigit():
            document = document[int(part)] if int(part) < len(document) else ABSENT
        else:
            document = document.get(part, ABSENT) if isinstance(document, dict) else ABSENT
        if document is ABSENT or document is None:
            return ABSENT
    return document


def _place(body: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[last] = value


def check(fields: Iterable[Field], inputs: dict[str, Any], token: str, prefix: str = "") -> Iterator[Problem]:
    """What is wrong with the inputs: unknown and missing names and wrong shapes, at any depth. Unknown values pass."""
    known = {field.name: field for field in fields}
    for name in sorted(inputs.keys() - known.keys() - {DEFAULTS}):
        has = ", ".join(sorted(known))
        yield Problem(prefix + name, f"the offline plugin does not implement {name!r} of {token}; it has {has}")
    for field in known.values():
        value = inputs.get(field.name)
        if field.required and value in (None, ""):
            yield Problem(prefix + field.name, f"is missing; set {field.name!r}")
        elif value is not None and not is_unknown(value):
            yield from _check_value(field, value, token, prefix + field.name)


def _check_value(field: Field, value: Any, token: str, path: str) -> Iterator[Problem]:
    listed = field.kind in ("set", "objects")
    if listed != isinstance(value, list) or (field.kind in ("object", "map")) != isinstance(value, dict):
        shape = "a list" if listed else "an object" if field.kind in ("object", "map") else "a plain value"
        yield Problem(path, f"is {json.dumps(value)[:80]}, but must be {shape}")
    elif field.kind == "object":
        yield from check(field.fields, value, token, f"{path}.")
    elif field.kind == "objects":
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield from check(field.fields, item, token, f"{path}[{index}].")
            elif not is_unknown(item):
                yield Problem(f"{path}[{index}]", f"is {json.dumps(item)[:80]}, but must be an object")
    elif field.kind == "document":
        try:
            json.loads(value)
        except ValueError as error:
            yield Problem(path, f"is not JSON: {error}")


def request(fields: Iterable[Field], inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs as parameters of an API call."""
    body: dict[str, Any] = {}
    for field in fields:
        value = inputs.get(field.name)
        if value is not None and not field.local and field.member:
            _place(body, field.member, encoded(field, value))
    return body


def encoded(field: Field, value: Any) -> Any:
    """One property's value as the API takes it."""
    if field.kind == "object":
        value = request(field.fields, value)
    elif field.kind == "objects":
        value = [request(field.fields, item) for item in value]
    return field.encode(value) if field.encode else value


def observed(fields: Iterable[Field], live: dict[str, Any]) -> dict[str, Any]:
    """What the API answers, in the terms of inputs; what it does not tell is left out."""
    found: dict[str, Any] = {}
    for field in fields:
        if field.local or field.write_only or (value := dig(live, field.live)) is ABSENT:
            continue
        if field.decode:
            value = field.decode(value)
        if field.kind == "object":
            value = observed(field.fields, value)
        elif field.kind == "objects":
            value = [observed(field.fields, item) for item in value]
        elif field.kind == "document" and not isinstance(value, str):
            value = json.dumps(value, sort_keys=True)
        found[field.name] = value
    return found


def merged(fields: Iterable[Field], inputs: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The inputs as they are now: equal to `inputs` where nothing drifted.

    Only the properties that the inputs have count: the API fills in the rest.
    """
    known = {field.name: field for field in fields}
    result: dict[str, Any] = {}
    for name, given in inputs.items():
        field = known.get(name)
        if field is None or field.local or field.write_only:
            result[name] = given
            continue
        value = _merged_value(field, given, now.get(name, ABSENT))
        if value is not ABSENT:
            result[name] = value
    return result


def _merged_value(field: Field, given: Any, now: Any) -> Any:
    if now is ABSENT:
        return given if given in EMPTY or given == field.default else ABSENT
    if field.kind == "object" and isinstance(given, dict):
        return merged(field.fields, given, now)
    if field.kind == "objects" and isinstance(given, list):
        return _merged_list(field, given, now)
    return given if _same(field, given, now) else now


def _merged_list(field: Field, given: list[Any], now: list[Any]) -> list[Any]:
    """The given list if each of its objects is there, in whatever order and nothing else; else what is there."""
    left = list(now)
    for item in given:
        match = next((other for other in left if merged(field.fields, item, other) == item), None)
        if match is None:
            return now
        left.remove(match)
    return now if left else given


def _same(field: Field, given: Any, now: Any) -> bool:
    if field.kind == "set":
        return sorted(map(str, given)) == sorted(map(str, now))
    if field.kind == "document":
        try:
            return same_document(given, now)
        except ValueError:
            return False
    return bool(given == now)


def same_document(one: str, other: str) -> bool:
    """Whether two JSON documents mean the same to AWS, which sorts lists and unpacks those with one item."""
    return bool(_canonical(json.loads(one)) == _canonical(json.loads(other)))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        items = sorted((_canonical(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return value


def without_defaults(fields: Iterable[Field], found: dict[str, Any]) -> dict[str, Any]:
    """What of an imported resource is worth writing down as inputs."""
    defaults = {field.name: field.default for field in fields}
    return {name: value for name, value in found.items() if value not in EMPTY and value != defaults[name]}


def fixed(fields: Iterable[Field], path: tuple[str | int, ...], before: Any, after: Any) -> bool:
    """Whether a change at this path, of one value to another (None: not there), needs a new resource.

    Leaving out a property that has the API's own default, or giving that default, changes nothing.
    """
    name, *rest = (part for part in path if isinstance(part, str))
    field = next((field for field in fields if field.name == name), None)
    if field is None:
        return False
    if field.fixed:
        return bool((field.default if before is None else before) != (field.default if after is None else after))
    if field.pinned:
        return (before is None) != (after is None)
    if field.kind == "object" and rest:
        return fixed(field.fields, tuple(rest), before, after)
    if field.kind == "object":  # a whole object that comes or goes, with what is fixed in it
        old, new = before or {}, after or {}
        return any(fixed(field.fields, (one,), old.get(one), new.get(one)) for one in old.keys() | new.keys())
    return False
