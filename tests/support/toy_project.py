"""A project whose models are made by hand: four pixels, and whether the first is bright."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

DECLARATION = """
contract:
  inputs: [{name: pixels, type: uint8, shape: [null, 4]}]
  outputs: [{name: logits, type: float32, shape: [null, 2]}]
evaluator:
  module: toy.score
  root: ml/src
  files: [ml/src/toy/__init__.py, ml/src/toy/score.py]
  lock: requirements/ml.txt
test_set:
  path: ml/data/test.safetensors
  inputs: {images: pixels}
  share: 0.3
metrics:
  accuracy: {minimum: 0, maximum: 1, tolerance: 0.005, limit: 0.8}
  mistakes: {minimum: 0, better: lower}
paths:
  judged: [ml/src/*, ml/data/train.dvc, ml/.gitignore]
  owner:
    service: [ml/service/*, requirements/serve.txt]
    evaluator: [src/mlplatform/evaluation/*]
  parameters: [prepare, train]
limits: {seconds: 300, cpu_seconds: 60, memory_bytes: 4294967296}
"""
SCORE = """
def score(outputs, targets):
    right = outputs["logits"].argmax(1) == targets["labels"]
    return {"accuracy": right.mean(), "mistakes": (~right).sum()}
"""
PIXELS = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 4])
LOGITS = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])
OPSETS = (helper.make_opsetid("", 17),)


def write(root: Path, declaration: str = DECLARATION, score: str = SCORE) -> Path:
    """Main's checkout with the project, and its test set of 40 rows; returns the project's folder."""
    for name, text in {
        "ml/evaluation.yaml": declaration,
        "ml/src/toy/__init__.py": "",
        "ml/src/toy/score.py": score,
        "requirements/ml.txt": "onnx==1\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "ml/data").mkdir(exist_ok=True)
    save_file(rows(40), root / "ml/data/test.safetensors")
    return root / "ml"


def rows(count: int, seed: int = 7) -> dict[str, Any]:
    """Images and their labels; half of them bright."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 4), dtype=np.uint8)
    images[:, 0] = np.where(np.arange(count) % 2, 200, 20)
    return {"images": images, "labels": (images[:, 0] > 127).astype(np.uint8)}


def model(
    nodes: Sequence[onnx.NodeProto],
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    inputs: Sequence[Any] = (PIXELS,),
    outputs: Sequence[Any] = (LOGITS,),
    opsets: Sequence[Any] = OPSETS,
    **more: Any,
) -> onnx.ModelProto:
    """A model of these operators."""
    graph = helper.make_graph(list(nodes), "toy", list(inputs), list(outputs), list(initializers))
    return helper.make_model(graph, opset_imports=list(opsets), ir_version=8, **more)


def linear(threshold: float = 127.5) -> onnx.ModelProto:
    """A model that calls an image bright above the threshold: 127.5 is always right, 255 never for bright ones."""
    return model(*parts(threshold))


def parts(threshold: float = 127.5) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The operators and weights of `linear`."""
    weights = np.zeros((4, 2), np.float32)
    weights[0] = [-1, 1]
    bias = np.array([threshold, -threshold], np.float32)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
    ]
    return nodes, [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]


def other_architecture() -> onnx.ModelProto:
    """The same answers by other operators, with preprocessing in the graph: pixels become shares first."""
    hidden = np.zeros((4, 3), np.float32)
    hidden[0] = [1, 0, 0]
    weights = np.array([[-1, 1], [0, 0], [0, 0]], np.float32)
    arrays = {"scale": np.float32(255), "hidden": hidden, "weights": weights, "bias": np.array([0.5, -0.5], np.float32)}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "scale"], ["shares"]),
        helper.make_node("MatMul", ["shares", "hidden"], ["first"]),
        helper.make_node("Relu", ["first"], ["second"]),
        helper.make_node("Gemm", ["second", "weights", "bias"], ["logits"]),
    ]
    return model(nodes, [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()])


def endless() -> onnx.ModelProto:
    """A model whose loop never ends."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["count"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("count", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1]),
        ],
    )
    nodes, weights = parts()
    nodes[2] = helper.make_node("Add", ["products", "bias"], ["sums"])
    nodes.append(helper.make_node("Loop", ["", "true", "start"], ["end"], body=body))
    nodes.append(helper.make_node("Add", ["sums", "end"], ["logits"]))
    start = numpy_helper.from_array(np.zeros(1, np.float32), "start")
    return model(nodes, [*weights, numpy_helper.from_array(np.array(True), "true"), start])


def memory_bomb() -> onnx.ModelProto:
    """A small model that asks for a terabyte."""
    nodes, weights = parts()
    nodes[2] = helper.make_node("Add", ["products", "bias"], ["sums"])
    nodes.append(helper.make_node("Expand", ["sums", "size"], ["large"]))
    nodes.append(helper.make_node("ReduceMax", ["large"], ["most"], keepdims=0))
    nodes.append(helper.make_node("Add", ["sums", "most"], ["logits"]))
    size = numpy_helper.from_array(np.array([2**37, 1, 1], np.int64), "size")
    return model(nodes, [*weights, size])


def nested(inner: onnx.NodeProto, depth: int = 1) -> onnx.ModelProto:
    """`linear` beside an operator so many subgraphs deep."""
    node = inner
    for level in range(depth):
        name = node.output[0]
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        branch = helper.make_graph([node], f"branch{level}", [], [value])
        node = helper.make_node("If", ["true"], [f"{name}{level}"], then_branch=branch, else_branch=branch)
    nodes, weights = parts()
    return model([*nodes, node], [*weights, numpy_helper.from_array(np.array(True), "true")])


def foreign() -> onnx.ModelProto:
    """`linear` beside an operator of another domain."""
    nodes, weights = parts()
    nodes.append(helper.make_node("Gelu", ["products"], ["x"], domain="com.microsoft"))
    return model(nodes, weights, opsets=[*OPSETS, helper.make_opsetid("com.microsoft", 1)])


def outside() -> onnx.ModelProto:
    """`linear` with its weights in a file that lies above its own."""
    nodes, (weights, bias) = parts()
    weights.ClearField("raw_data")
    weights.external_data.add(key="location", value="../../secrets")
    weights.data_location = TensorProto.EXTERNAL
    return model(nodes, [weights, bias])


def narrow() -> onnx.ModelProto:
    """`linear` for images of another shape."""
    image = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 2, 2])
    nodes, weights = parts()
    flat = helper.make_node("Flatten", ["pixels"], ["flat"])
    nodes[0] = helper.make_node("Cast", ["flat"], ["numbers"], to=TensorProto.FLOAT)
    return model([flat, *nodes], weights, inputs=[image])


def declaration() -> dict[str, Any]:
    """The declaration's content, to be changed."""
    content: dict[str, Any] = yaml.safe_load(DECLARATION)
    return content
