"""What is written can be read back, runs no code, and computes the same."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from digits import evaluate, export, model, params
from digits.errors import UserError
from digits.prepare import Examples


@pytest.mark.parametrize("count", [1, 3, 189])
def test_onnx_computes_what_torch_computes(
    model_dir: Path, sets: tuple[Examples, Examples], settings: params.Params, count: int
) -> None:
    images = sets[1].images[:count]
    reference = evaluate.torch_logits(model_dir / "model.safetensors", settings.train, images)
    served = evaluate.onnx_logits(model_dir / "model.onnx", images)
    assert served.shape == (count, 10)
    assert np.abs(reference - served).max() <= settings.evaluate.parity_tolerance
    assert np.abs(served).max() > 1  # not two times nothing


def test_the_graph_is_pinned_and_whole(model_dir: Path) -> None:
    graph = onnx.load(model_dir / "model.onnx", load_external_data=False)
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", export.OPSET)]
    assert [value.name for value in graph.graph.input] == [export.INPUT]
    assert graph.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [value.name for value in graph.graph.output] == [export.OUTPUT]
    assert not any(tensor.external_data for tensor in graph.graph.initializer)
    assert {node.domain for node in graph.graph.node} == {""}


def test_a_graph_that_was_changed_is_noticed(
    model_dir: Path, sets: tuple[Examples, Examples], settings: params.Params, tmp_path: Path
) -> None:
    graph = onnx.load(model_dir / "model.onnx")
    weights = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = onnx.numpy_helper.to_array(weights) * 1.001
    weights.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), weights.name))
    onnx.save(graph, tmp_path / "model.onnx")
    images, labels = sets[1].images, sets[1].labels
    reference = evaluate.torch_logits(model_dir / "model.safetensors", settings.train, images)
    report = evaluate.evaluate(reference, evaluate.onnx_logits(tmp_path / "model.onnx", images), labels)
    with pytest.raises(UserError, match="differ from torch by"):
        evaluate.check_parity(report, reference, settings.evaluate.parity_tolerance)


@pytest.mark.parametrize("content", [None, b"oops"], ids=["missing", "damaged"])
def test_weights_that_cannot_be_read_are_refused(
    settings: params.Params, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"model.safetensors: cannot be loaded \(.*\); run `dvc repro train`"):
        export.load_weights(model.build(settings.train), path)


def test_weights_of_another_network_are_refused(model_dir: Path, settings: params.Params) -> None:
    other = model.build(settings.train.model_copy(update={"channels": 4}))
    with pytest.raises(UserError, match=r"cannot be loaded \(.*size mismatch.*\); run `dvc repro train`"):
        export.load_weights(other, model_dir / "model.safetensors")


def test_weights_come_back_exactly(settings: params.Params, tmp_path: Path) -> None:
    first, second = model.build(settings.train), model.build(settings.train)
    export.save_weights(first, tmp_path / "weights")
    export.load_weights(second, tmp_path / "weights")
    assert all(torch.equal(first.state_dict()[name], value) for name, value in second.state_dict().items())


def test_a_pickle_is_not_a_model(settings: params.Params, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save(model.build(settings.train).state_dict(), path)
    with pytest.raises(UserError, match="cannot be loaded"):
        export.load_weights(model.build(settings.train), path)
