"""What a state keeps of an object, in the official provider's own form, so that either plugin goes on from it.

The outputs are the live object, and beside its fields what the official provider compares it with and writes it as:
the inputs that it was made from, its first API version and its field manager
(`checkpointObject` in github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider/provider.go).
"""

import base64
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from plugins.kubernetes.kinds import Kind
from plugins.wire import Difference

INPUTS, API_VERSION, FIELD_MANAGER = "__inputs", "__initialApiVersion", "__fieldManager"
# What an older version of this plugin noted of what the server rewrote, in place of the whole object.
REWRITTEN = "__rewritten"
# Names the field manager of one object, whatever the state says.
MANAGER_ANNOTATION = "pulumi.com/patchFieldManager"
# Names that are none in Pulumi's languages, as states hold them.
UNDERSCORED = {
    f"x-kubernetes-{name}": f"x_kubernetes_{name.replace('-', '_')}"
    for name in (
        "embedded-resource",
        "int-or-string",
        "list-map-keys",
        "list-type",
        "map-type",
        "preserve-unknown-fields",
        "validations",
    )
}
DASHED = {underscored: dashed for dashed, underscored in UNDERSCORED.items()}
# Where the API has quantities, which it writes in a form of its own: the parents of their names.
QUANTITIES = frozenset({"capacity", "hard", "limits", "max", "min", "requests"})
SUFFIXES = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{letter: Decimal(1000) ** -power for power, letter in enumerate("mun", 1)},
}


def outputs(inputs: Mapping[str, Any], live: Mapping[str, Any], api_version: str, manager: str) -> dict[str, Any]:
    """The outputs of an object that was made from `inputs`."""
    return {
        **_renamed(live, UNDERSCORED),
        INPUTS: _renamed(inputs, UNDERSCORED),
        API_VERSION: api_version,
        FIELD_MANAGER: manager,
    }


def parsed(outputs: Mapping[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The inputs that an object was made from, None where its state does not say, and the object as it was then."""
    own = {INPUTS, API_VERSION, FIELD_MANAGER, REWRITTEN}
    live = {key: value for key, value in outputs.items() if key not in own}
    made = outputs.get(INPUTS)
    return _renamed(made, DASHED) if made is not None else None, _renamed(live, DASHED)


def manager(inputs: Mapping[str, Any], outputs: Mapping[str, Any], otherwise: str) -> str:
    """The field manager of an object: what its annotation says, else the one that has written it so far."""
    annotations = (inputs.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(MANAGER_ANNOTATION) or outputs.get(FIELD_MANAGER) or otherwise)


def normal(inputs: dict[str, Any], kind: str) -> dict[str, Any]:
    """Inputs in the form that the official provider keeps them in: a Secret's text as data."""
    text = inputs.get("stringData")
    if kind != "Secret" or not isinstance(text, dict):
        return inputs
    encoded = {
        key: base64.b64encode(value.encode()).decode() if isinstance(value, str) else value
        for key, value in text.items()
    }
    rest = {key: value for key, value in inputs.items() if key != "stringData"}
    return {**rest, "data": {**(inputs.get("data") or {}), **encoded}} if encoded else rest


def means_the_same(change: Difference, kind: Kind) -> bool:
    """Whether a change only writes something in another form, which the official provider does by itself: a quantity,
    or an empty text that is the same as none.
    """
    if change.kind != "UPDATE":
        path = ".".join(map(str, change.path))
        return path in kind.dropped and "" in (change.old, change.new)
    parents = [part for part in change.path[:-1] if isinstance(part, str)]
    named = change.path[-1] == "sizeLimit" or (parents and parents[-1] in QUANTITIES)
    if not named:
        return False
    before, after = quantity(change.old), quantity(change.new)
    return before is not None and before == after


def quantity(value: Any) -> Decimal | None:
    """The number that a Kubernetes quantity such as `1Gi` or `500m` stands for; None for what is none."""
    text = str(value)
    suffix = next((one for one in SUFFIXES if text.endswith(one)), "")
    try:
        return Decimal(text.removesuffix(suffix)) * SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        return None


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value
