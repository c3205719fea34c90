"""Which files are loaded, and in which words the others are refused: each with one fault."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import toy_project as toy
from digits import export, model, params
from mlplatform.evaluation import admission
from mlplatform.evaluation.admission import NotAdmitted
from mlplatform.evaluation.declaration import Contract, parse
from settings import ROOT

CONTRACT = parse(toy.declaration(), "evaluation.yaml").contract


def refusal(path: Path) -> NotAdmitted:
    with pytest.raises(NotAdmitted) as caught:
        admission.admit(path, CONTRACT, 100_000)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
    return caught.value


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder / "model.onnx"


@pytest.mark.parametrize("whole", [toy.linear(), toy.other_architecture(), toy.endless()], ids=["a", "b", "c"])
def test_models_of_any_architecture_are_admitted(place: Path, whole: onnx.ModelProto) -> None:
    place.write_bytes(whole.SerializeToString())

    admission.admit(place, CONTRACT, 100_000)


def test_main_s_model_states_its_contract(place: Path) -> None:
    place.write_bytes(toy.linear().SerializeToString())

    assert admission.contract_of(place) == CONTRACT


def test_what_torch_exports_of_the_demo_is_admitted(place: Path) -> None:
    settings = params.load(ROOT / "ml" / "params.yaml").train
    export.save_onnx(model.build(settings), place)
    inputs = [{"name": "pixels", "type": "uint8", "shape": [None, 8, 8]}]
    outputs = [{"name": "logits", "type": "float32", "shape": [None, 10]}]
    contract = Contract.model_validate_json(json.dumps({"inputs": inputs, "outputs": outputs}))

    admission.admit(place, contract, 10**6)

    assert admission.contract_of(place) == contract


RANDOM = random.Random(20)
WHOLE = toy.linear().SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\0" * 7,
        RANDOM.randbytes(41_428),
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:-1],
        WHOLE[1:],
        b"\x08\x08",
        b"<html>",
        helper.make_model(helper.make_graph([], "empty", [toy.PIXELS], [toy.PIXELS])).SerializeToString(),
    ],
    ids=["empty", "7 bytes", "7 zeros", "random", "half", "cut", "headless", "version only", "text", "no operators"],
)
def test_s4_s16_what_is_no_model_is_refused(place: Path, content: bytes) -> None:
    place.write_bytes(content)

    assert str(refusal(place)).startswith("the file is not an ONNX model")


def test_any_beginning_of_a_model_is_refused(place: Path) -> None:
    """A model that is cut may still parse; then something is missing."""
    for length in range(0, len(WHOLE), 7):
        place.write_bytes(WHOLE[:length])
        refusal(place)


def external(location: str = "../../secrets", name: str = "weights") -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4, 2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def only_named() -> onnx.TensorProto:
    tensor = external()
    tensor.ClearField("data_location")
    tensor.raw_data = b"\0" * 32
    return tensor


def constant(tensor: onnx.TensorProto, output: str = "c") -> onnx.NodeProto:
    return helper.make_node("Constant", [], [output], value=tensor)


def with_initializer(tensor: onnx.TensorProto) -> onnx.ModelProto:
    nodes, (_, bias) = toy.parts()
    return toy.model(nodes, [tensor, bias])


def beside(node: onnx.NodeProto, **more: object) -> onnx.ModelProto:
    nodes, weights = toy.parts()
    return toy.model([*nodes, node], weights, **more)


def sparse(values: onnx.TensorProto) -> onnx.SparseTensorProto:
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[8])


def with_sparse_initializer() -> onnx.ModelProto:
    model = toy.linear()
    model.graph.sparse_initializer.append(sparse(external(name="s")))
    return model


EXTERNAL = {
    "initializer": with_initializer(external()),
    "entries alone": with_initializer(only_named()),
    "constant": beside(constant(external())),
    "subgraph": toy.nested(constant(external())),
    "deep subgraph": toy.nested(constant(external()), 5),
    "sparse initializer": with_sparse_initializer(),
    "sparse constant": beside(helper.make_node("Constant", [], ["c"], sparse_value=sparse(external()))),
    "list of tensors": beside(helper.make_node("Constant", [], ["c"], tensors=[external()])),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_data_outside_of_the_file_is_refused_wherever_it_is_named(place: Path, name: str) -> None:
    place.write_bytes(EXTERNAL[name].SerializeToString())

    assert "keeps its data outside of the file in ../../secrets" in str(refusal(place))


def foreign(domain: str = "com.microsoft", operator: str = "Gelu") -> onnx.NodeProto:
    return helper.make_node(operator, ["products"], ["x"], domain=domain)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_an_operator_of_another_domain_is_refused_in_subgraphs_too(place: Path, depth: int) -> None:
    place.write_bytes(toy.nested(foreign(), depth).SerializeToString())

    reason = "it uses the operator com.microsoft::Gelu; only those of ai.onnx and ai.onnx.ml are allowed"
    assert str(refusal(place)) == reason


def ml(version: int = 3) -> list[object]:
    return [*toy.OPSETS, helper.make_opsetid("ai.onnx.ml", version)]


def test_an_operator_of_the_standard_s_classic_models_is_admitted(place: Path) -> None:
    scaler = helper.make_node("Scaler", ["numbers"], ["x"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])
    place.write_bytes(beside(scaler, opsets=ml()).SerializeToString())

    admission.admit(place, CONTRACT, 100_000)


OPERATORS = {
    "unknown": (beside(foreign("", "Teleport")), "it uses the operator ai.onnx::Teleport, which version 17"),
    "newer": (beside(foreign("", "Gelu")), "it uses the operator ai.onnx::Gelu, which version 17 does not have"),
    "not imported": (beside(foreign("ai.onnx.ml", "Scaler")), "of an operator set that it does not import"),
    "foreign set": (beside(foreign("", "Relu"), opsets=[*toy.OPSETS, helper.make_opsetid("org.evil", 1)]), "org.evil"),
    "future": (toy.model(*toy.parts(), opsets=[helper.make_opsetid("", 9999)]), "version 9999 of the operator set"),
    "version 0": (toy.model(*toy.parts(), opsets=[helper.make_opsetid("", 0)]), "version 0 of the operator set"),
    "future classic": (toy.model(*toy.parts(), opsets=ml(999)), "version 999 of the operator set ai.onnx.ml"),
    "twice": (toy.model(*toy.parts(), opsets=[*toy.OPSETS, helper.make_opsetid("ai.onnx", 17)]), "twice"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_that_the_standard_does_not_have_are_refused(place: Path, name: str) -> None:
    model, reason = OPERATORS[name]
    place.write_bytes(model.SerializeToString())

    assert reason in str(refusal(place))


def with_function(domain: str) -> onnx.ModelProto:
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function(domain, "MatMul", ["a", "c"], ["b"], body, [helper.make_opsetid("", 17)])
    return toy.model(*toy.parts(), functions=[function])


@pytest.mark.parametrize("domain", ["", "ai.onnx", "mine"])
def test_functions_of_its_own_may_not_stand_in_for_operators(place: Path, domain: str) -> None:
    place.write_bytes(with_function(domain).SerializeToString())

    assert f"it defines functions of its own, such as {domain}::MatMul" in str(refusal(place))


def value(name: str, kind: int, shape: list[object] | None) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def cast_from(inputs: list[object], outputs: list[object] | None = None) -> onnx.ModelProto:
    return toy.model(*toy.parts(), inputs=inputs, outputs=outputs or [toy.LOGITS])


U8, F32 = TensorProto.UINT8, TensorProto.FLOAT
CONTRACTS = {
    "input's name": (cast_from([value("image", U8, ["n", 4])]), "its inputs are image uint8[?, 4]"),
    "input's type": (cast_from([value("pixels", F32, ["n", 4])]), "its inputs are pixels float32[?, 4]"),
    "input's shape": (cast_from([value("pixels", U8, ["n", 5])]), "its inputs are pixels uint8[?, 5]"),
    "input's rank": (cast_from([value("pixels", U8, ["n", 2, 2])]), "its inputs are pixels uint8[?, 2, 2]"),
    "one row": (cast_from([value("pixels", U8, [1, 4])]), "its inputs are pixels uint8[1, 4]"),
    "no length": (cast_from([value("pixels", U8, ["n", None])]), "its inputs are pixels uint8[?, ?]"),
    "no shape": (cast_from([value("pixels", U8, None)]), "its inputs are pixels uint8[...]"),
    "no inputs": (cast_from([]), "its inputs are none"),
    "one more": (cast_from([toy.PIXELS, value("x", U8, ["n"])]), "its inputs are pixels uint8[?, 4], x uint8[?]"),
    "a list": (
        cast_from([helper.make_tensor_sequence_value_info("pixels", U8, ["n", 4])]),
        "its inputs are pixels (sequence_type)[...]",
    ),
    "output's name": (cast_from([toy.PIXELS], [value("sums", F32, ["n", 2])]), "its outputs are sums float32[?, 2]"),
    "output's type": (
        cast_from([toy.PIXELS], [value("logits", TensorProto.DOUBLE, ["n", 2])]),
        "its outputs are logits float64[?, 2]",
    ),
    "output's shape": (cast_from([toy.PIXELS], [value("logits", F32, ["n", 3])]), "are logits float32[?, 3]"),
    "another output": (cast_from([toy.PIXELS], [toy.LOGITS, value("sums", F32, ["n", 2])]), "float32[?, 2], sums"),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_another_contract_is_refused_and_both_are_named(place: Path, name: str) -> None:
    model, reason = CONTRACTS[name]
    place.write_bytes(model.SerializeToString())

    error = refusal(place)

    assert reason in str(error)
    assert "main's are " in str(error)
    assert error.cause == "contract"


def test_weights_that_are_listed_as_inputs_are_none(place: Path) -> None:
    weights = value("weights", F32, [4, 2])
    place.write_bytes(cast_from([toy.PIXELS, weights]).SerializeToString())

    admission.admit(place, CONTRACT, 100_000)


def with_training() -> onnx.ModelProto:
    model = toy.linear()
    model.training_info.add()
    return model


def unknown_field() -> bytes:
    """A message that has a field with the number 1000."""
    return WHOLE + bytes([0xC0, 0x3E, 0x01])


def nested_unknown_field() -> bytes:
    model = toy.linear()
    model.graph.initializer[0].MergeFromString(bytes([0xC0, 0x3E, 0x01]))
    return model.SerializeToString()


def many_nodes() -> bytes:
    return beside(constant(numpy_helper.from_array(np.zeros(1)))).SerializeToString() + nodes(60_000)


def nodes(count: int) -> bytes:
    """So many empty operators, as bytes that are appended to a model: a message that comes twice is merged."""
    graph = b"\x0a\x00" * count
    return b"\x3a" + varint(len(graph)) + graph


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def newer_format() -> bytes:
    model = toy.linear()
    model.ir_version = 99
    return model.SerializeToString()


OTHERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "training": (lambda: with_training().SerializeToString(), "it carries training information"),
    "unknown field": (unknown_field, "a ModelProto in it has fields that are unknown here"),
    "unknown field within": (nested_unknown_field, "a TensorProto in it has fields that are unknown here"),
    "deep": (lambda: toy.nested(constant(numpy_helper.from_array(np.zeros(1))), 9).SerializeToString(), "nested more"),
    "operators": (many_nodes, "it has more than 50000 operators"),
    "parts": (lambda: WHOLE + nodes(600_000), "it has more than 500000 parts"),
    "newer": (newer_format, "the format's version 99 is newer than"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_too_much_or_unknown_is_refused(place: Path, name: str) -> None:
    make, reason = OTHERS[name]
    place.write_bytes(make())

    with pytest.raises(NotAdmitted, match=reason):
        admission.admit(place, CONTRACT, 10**7)


def test_graphs_beyond_the_depth_that_is_parsed_are_no_model(place: Path) -> None:
    content = b""
    for _ in range(3000):
        node = b"\x2a" + varint(len(content) + 2) + b"\x32" + varint(len(content)) + content
        content = b"\x0a" + varint(len(node)) + node
    place.write_bytes(WHOLE + b"\x3a" + varint(len(content)) + content)

    with pytest.raises(NotAdmitted, match="not an ONNX model"):
        admission.admit(place, CONTRACT, 10**7)


def test_the_file_must_be_alone_plain_and_small(place: Path) -> None:
    place.write_bytes(WHOLE)
    with pytest.raises(NotAdmitted, match=f"has {len(WHOLE)} bytes; 10 are allowed"):
        admission.admit(place, CONTRACT, 10)
    (place.parent / "weights.bin").write_bytes(b"x")
    assert "1 more lie beside it" in str(refusal(place))
    (place.parent / "weights.bin").unlink()
    place.rename(place.parent.parent / "elsewhere")
    place.symlink_to(place.parent.parent / "elsewhere")
    assert "no plain file" in str(refusal(place))


def test_names_of_the_file_do_not_reach_the_message_whole(place: Path) -> None:
    place.write_bytes(beside(foreign("evil\n\x1b[31m" + "x" * 5000)).SerializeToString())

    assert str(refusal(place)).startswith("it uses the operator evil??[31mxxx")
