"""Property values between protobuf and plain Python, and the differences between two of them.

Values here are plain, and secrets among them not told apart. The engine strips secrets before it calls a provider that
does not ask for them, and marks what comes back under the same keys; one that asks for them marks by itself (`sealed`).
Unknown values (in a preview) stay the engine's marker strings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from google.protobuf import struct_pb2

UNKNOWNS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
# Marks an object that is no plain data (an asset, a resource reference ...), and the value that says it is a secret.
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks secrets, and is none
# The official providers' note of which properties of an object they filled in themselves.
DEFAULTS = "__defaults"

Path = tuple[str | int, ...]


def is_unknown(value: object) -> bool:
    return isinstance(value, str) and value in UNKNOWNS


def to_python(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A protobuf struct as a dict. Raises ValueError on a value that is no plain data."""
    return {key: _to_python(value) for key, value in struct.fields.items()}


def _to_python(value: struct_pb2.Value) -> Any:  # noqa: PLR0911 - one answer a kind of value
    match value.WhichOneof("kind"):
        case "struct_value":
            signature = value.struct_value.fields.get(SIGNATURE)
            if signature is None:
                return to_python(value.struct_value)
            if signature.string_value == SECRET:
                return _to_python(value.struct_value.fields["value"])
            raise ValueError("assets, archives and resource references are not supported")
        case "list_value":
            return [_to_python(item) for item in value.list_value.values]
        case "number_value":
            # Protobuf has doubles only; APIs with typed fields refuse 3.0 for 3.
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """The other way round; what `secret` marked stays marked."""
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def secret(value: Any) -> dict[str, Any]:
    """The value, marked so that the engine encrypts it; one that is marked stays as it is."""
    return value if _is_marked(value) else {SIGNATURE: SECRET, "value": value}


def sealed(values: Mapping[str, Any], like: struct_pb2.Struct) -> dict[str, Any]:
    """The values with those marked as secrets that `like` has under the same keys and marked; a whole list where a part
    of it is one there.
    """
    found = dict(values)
    for key, given in like.fields.items():
        value = found.get(key)
        if key not in found or _is_marked(value):
            continue
        if isinstance(value, Mapping) and given.WhichOneof("kind") == "struct_value" and not _is_secret(given):
            found[key] = sealed(value, given.struct_value)
        elif _holds_secret(given):
            found[key] = secret(value)
    return found


def _is_marked(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(SIGNATURE) == SECRET


def _is_secret(value: struct_pb2.Value) -> bool:
    return bool(value.struct_value.fields[SIGNATURE].string_value == SECRET) if _signed(value) else False


def _signed(value: struct_pb2.Value) -> bool:
    return value.WhichOneof("kind") == "struct_value" and SIGNATURE in value.struct_value.fields


def _holds_secret(value: struct_pb2.Value) -> bool:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _is_secret(value) or any(_holds_secret(item) for item in value.struct_value.fields.values())
        case "list_value":
            return any(_holds_secret(item) for item in value.list_value.values)
        case _:
            return False


@dataclass(frozen=True)
class Difference:
    """One place where two values differ; None stands for the value that is not there."""

    path: Path
    kind: Literal["ADD", "DELETE", "UPDATE"]
    old: Any = field(default=None, compare=False)
    new: Any = field(default=None, compare=False)

    def __str__(self) -> str:
        return format_path(self.path)


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[Difference]:
    """Where `new` differs from `old`: objects by key, lists by position, everything else by value.

    Which of them a provider filled in itself is no difference.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in (key for key in old.keys() | new.keys() if key != DEFAULTS):
            here = (*path, key)
            if key not in new:
                yield Difference(here, "DELETE", old=old[key])
            elif key not in old:
                yield Difference(here, "ADD", new=new[key])
            else:
                yield from differences(old[key], new[key], here)
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from differences(before, after, (*path, index))
        for index in range(len(new), len(old)):
            yield Difference((*path, index), "DELETE", old=old[index])
        for index in range(len(old), len(new)):
            yield Difference((*path, index), "ADD", new=new[index])
    elif type(old) is not type(new) or old != new:
        yield Difference(path, "UPDATE", old, new)


def format_path(path: Path) -> str:
    """A path in the engine's notation: `spec.ports[0].nodePort`, `metadata.labels["a.b/c"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").isalnum():
            text += f".{part}"
        else:
            text += f'["{part}"]'
    return text.removeprefix(".")
