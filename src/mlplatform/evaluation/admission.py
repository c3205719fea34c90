"""Whether the file of a model may be loaded at all.

The file is anybody's. It is parsed here, in a process with limits, before the runtime sees it; every message that it
holds, at whatever depth, is looked at, so that nothing hides where the format will one day have a new place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from mlplatform.evaluation.declaration import Contract, Value, describe

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
MOST_MESSAGES = 500_000
MOST_NODES = 50_000
MOST_DEPTH = 8
"""Subgraphs within subgraphs."""


class NotAdmitted(Exception):
    """A model that is not loaded; the message is one sentence that names what is wrong."""

    def __init__(self, reason: str, cause: Literal["contract", "file"] = "file") -> None:
        super().__init__(reason)
        self.cause: Literal["contract", "file"] = cause


def admit(path: Path, contract: Contract, most_bytes: int) -> None:
    """Raises `NotAdmitted` unless the file may be loaded."""
    check_file(path, most_bytes)
    model = parse(path.read_bytes())
    check_content(model)
    check_operators(model)
    check_contract(model, contract)


def check_file(path: Path, most_bytes: int) -> None:
    """Refuse what is no plain file of limited size, alone in its folder. Raises `NotAdmitted`."""
    if path.is_symlink() or not path.is_file():
        raise NotAdmitted("the model is no plain file")
    if (size := path.stat().st_size) > most_bytes:
        raise NotAdmitted(f"the model has {size} bytes; {most_bytes} are allowed")
    if (count := sum(1 for _ in path.parent.iterdir())) != 1:
        raise NotAdmitted(f"the model must be one file, but {count - 1} more lie beside it")


def parse(content: bytes) -> onnx.ModelProto:
    """Read a model. Raises `NotAdmitted` where it is none."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RecursionError):
        raise NotAdmitted("the file is not an ONNX model") from None
    # Protocol buffers take many a short file for an empty message.
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise NotAdmitted("the file is not an ONNX model: it has no graph, no operators or no operator set")
    return model


@dataclass(frozen=True, slots=True)
class _Found:
    message: Message
    depth: int
    """How many graphs surround it."""


def check_content(model: onnx.ModelProto) -> None:
    """Refuse external data, functions, training information, what is unknown, and what is too much of anything."""
    if model.ir_version > onnx.IR_VERSION:
        raise NotAdmitted(
            f"the format's version {model.ir_version} is newer than {onnx.IR_VERSION}, which is known here"
        )
    if model.functions:
        function = model.functions[0]
        name = _name(f"{function.domain}::{function.name}")
        raise NotAdmitted(f"it defines functions of its own, such as {name}: export it with functions inlined")
    if model.training_info:
        raise NotAdmitted("it carries training information: export it for inference")
    nodes = 0
    for found in _messages(model):
        message = found.message
        # What this version does not know, the runtime's might.
        if len(UnknownFieldSet(message)):
            raise NotAdmitted(f"a {message.DESCRIPTOR.name} in it has fields that are unknown here")
        if found.depth > MOST_DEPTH:
            raise NotAdmitted(f"its graphs are nested more than {MOST_DEPTH} deep")
        if isinstance(message, onnx.TensorProto):
            _check_tensor(message)
        elif isinstance(message, onnx.NodeProto):
            nodes += 1
            if nodes > MOST_NODES:
                raise NotAdmitted(f"it has more than {MOST_NODES} operators")


def _check_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        place = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        where = f" in {_name(place)}" if place else ""
        raise NotAdmitted(f"the tensor {_name(tensor.name)} keeps its data outside of the file{where}: export one file")


def _messages(model: onnx.ModelProto) -> Iterator[_Found]:
    """Every message in a model, itself included. Raises `NotAdmitted` where there are too many."""
    waiting, left = [_Found(model, 0)], MOST_MESSAGES
    while waiting:
        found = waiting.pop()
        yield found
        depth = found.depth + isinstance(found.message, onnx.GraphProto)
        for field in found.message.DESCRIPTOR.fields:
            if field.message_type is None:
                continue
            inner: Any = getattr(found.message, field.name)
            if isinstance(inner, Message):
                below = [inner] if found.message.HasField(field.name) else []
            else:
                # The length comes first: a short file can hold very many empty messages.
                left -= len(inner)
                below = inner if left >= 0 else []
            left -= isinstance(inner, Message)
            if left < 0:
                raise NotAdmitted(f"it has more than {MOST_MESSAGES} parts")
            waiting += [_Found(one, depth) for one in below]


def check_operators(model: onnx.ModelProto) -> None:
    """Refuse operators and operator sets other than the standard's own, in subgraphs too. Raises `NotAdmitted`."""
    versions: dict[str, int] = {}
    for entry in model.opset_import:
        domain = _domain(entry.domain)
        newest = onnx.defs.onnx_opset_version() if domain == "" else onnx.defs.onnx_ml_opset_version()
        if domain not in DOMAINS:
            raise NotAdmitted(
                f"it uses the operator set {_name(entry.domain)}; only ai.onnx and ai.onnx.ml are allowed"
            )
        if domain in versions:
            raise NotAdmitted(f"it names the operator set {domain or 'ai.onnx'} twice")
        if not 1 <= entry.version <= newest:
            known = f"1 to {newest} are known here"
            raise NotAdmitted(f"it uses version {entry.version} of the operator set {domain or 'ai.onnx'}; {known}")
        versions[domain] = entry.version
    for found in _messages(model):
        node = found.message
        if not isinstance(node, onnx.NodeProto):
            continue
        domain = _domain(node.domain)
        name = _name(f"{node.domain or 'ai.onnx'}::{node.op_type}")
        if domain not in DOMAINS:
            raise NotAdmitted(f"it uses the operator {name}; only those of ai.onnx and ai.onnx.ml are allowed")
        if domain not in versions:
            raise NotAdmitted(f"it uses the operator {name} of an operator set that it does not import")
        try:
            onnx.defs.get_schema(node.op_type, versions[domain], domain)
        except onnx.defs.SchemaError:
            raise NotAdmitted(f"it uses the operator {name}, which version {versions[domain]} does not have") from None


def check_contract(model: onnx.ModelProto, contract: Contract) -> None:
    """Refuse other inputs or outputs than the contract's, by name, type and shape. Raises `NotAdmitted`."""
    graph = model.graph
    given = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    inputs = [value for value in graph.input if value.name not in given]
    for side, found, wanted in (("inputs", inputs, contract.inputs), ("outputs", graph.output, contract.outputs)):
        stated = sorted(_described(value) for value in found[: len(wanted) + 1])
        agreed = sorted(str(value) for value in wanted)
        if stated != agreed:
            raise NotAdmitted(
                f"its {side} are {', '.join(stated) or 'none'}; main's are {', '.join(agreed)}", "contract"
            )


def contract_of(path: Path) -> Contract:
    """The contract that a model of main's keeps. Raises `NotAdmitted` where it states none."""
    graph = parse(path.read_bytes()).graph
    given = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_value(value) for value in graph.input if value.name not in given)
    return Contract(inputs=inputs, outputs=tuple(_value(value) for value in graph.output))


def _value(info: Any) -> Value:
    type_, shape = _type(info)
    if not type_.isalnum() or shape is None or not shape or shape[0] is not None:
        raise NotAdmitted(f"{_described(info)} is no tensor of a stated shape for any number of rows", "contract")
    return Value(name=info.name, type=type_, shape=shape)


def _described(info: Any) -> str:
    return _name(describe(info.name, *_type(info)))


def _type(info: Any) -> tuple[str, tuple[int | None, ...] | None]:
    """numpy's name of the elements' type, and the shape, `None` where it is not stated."""
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return f"({kind or 'no type'})", None
    tensor = info.type.tensor_type
    try:
        name = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except (KeyError, ValueError, TypeError):
        name = "(unknown type)"
    if not tensor.HasField("shape"):
        return name, None
    dimensions = tensor.shape.dim
    lengths = tuple(one.dim_value if one.WhichOneof("value") == "dim_value" else None for one in dimensions)
    return name, lengths


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _name(text: str) -> str:
    """Text of the file in a message: short, and without what would not print."""
    plain = "".join(character if character.isprintable() else "?" for character in text[:120])
    return plain or "without a name"
