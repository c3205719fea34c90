"""Models are measured for real: main's code and rows, a model of anybody's, processes with limits."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

import toy_project as toy
from mlplatform.evaluation import declaration, identity, measure
from mlplatform.evaluation.declaration import DeclarationError
from mlplatform.evaluation.measure import TestSetError
from mlplatform.evaluation.result import Evaluation, Measured, Refused, parse, write


def saved(folder: Path, name: str, model: onnx.ModelProto | bytes) -> Path:
    path = folder / name
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def evaluate(root: Path, candidate: onnx.ModelProto | bytes, baseline: onnx.ModelProto | None = None) -> Evaluation:
    one = saved(root.parent, "candidate", candidate)
    other = saved(root.parent, "baseline", baseline) if baseline else None
    found = measure.evaluate(root, root / "ml", one, other, root / "ml/data/test.safetensors")
    # What is left for `report` is what it reads.
    assert parse(write(found), declaration.load(root / "ml")) == found
    return found


def refused(root: Path, candidate: onnx.ModelProto | bytes) -> Refused:
    side = evaluate(root, candidate).candidate
    assert isinstance(side, Refused)
    return side


def change(root: Path, **sections: Any) -> None:
    """Change what main declares."""
    content = toy.declaration()
    for name, values in sections.items():
        content[name] |= values
    (root / "ml/evaluation.yaml").write_text(yaml.safe_dump(content))


def test_both_models_are_measured_on_the_same_rows(root: Path) -> None:
    found = evaluate(root, toy.linear(), toy.linear(255))

    assert isinstance(found.candidate, Measured)
    assert isinstance(found.baseline, Measured)
    assert found.candidate.metrics == {"accuracy": 1.0, "mistakes": 0.0}
    assert found.baseline.metrics == {"accuracy": 0.5, "mistakes": 20.0}
    assert found.rows == 40
    assert found.candidate.model == identity.model(root.parent / "candidate")
    assert found.evaluator == identity.evaluator(root, declaration.load(root / "ml"))
    assert found.test_set == identity.test_set(root / "ml/data/test.safetensors")


def test_a_new_architecture_with_preprocessing_in_the_graph_is_measured(root: Path) -> None:
    found = evaluate(root, toy.other_architecture(), toy.linear(255)).candidate

    assert isinstance(found, Measured)
    assert found.metrics == {"accuracy": 1.0, "mistakes": 0.0}


def test_more_rows_than_a_batch_are_all_measured_in_their_order(root: Path) -> None:
    save_file(toy.rows(600), root / "ml/data/test.safetensors")

    found = evaluate(root, toy.linear())

    assert found.rows == 600
    assert isinstance(found.candidate, Measured)
    assert found.candidate.metrics["mistakes"] == 0


@pytest.mark.parametrize("content", [b"garbage", np.random.default_rng(1).bytes(41_428)], ids=["7 bytes", "random"])
def test_s4_s16_a_file_that_is_no_model_is_refused(root: Path, content: bytes) -> None:
    found = refused(root, content)

    assert found.refused.startswith("the file is not an ONNX model")
    assert found.cause == "file"
    assert found.model.size == len(content)


def test_another_contract_is_told_apart_from_a_fault(root: Path) -> None:
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", 5])

    found = refused(root, toy.model(*toy.parts(), inputs=[pixels]))

    assert found.cause == "contract"
    assert found.refused == "its inputs are pixels uint8[?, 5]; main's are pixels uint8[?, 4]"


def test_s5_the_pull_requests_own_measuring_code_is_never_run(root: Path) -> None:
    """Its checkout lies where its model does, and has an evaluator that claims everything."""
    theirs = root.parent / "theirs"
    toy.write(
        theirs, score="print('accuracy 1.0')\ndef score(outputs, targets): return {'accuracy': 1.0, 'mistakes': 0}\n"
    )
    (theirs / "metrics.json").write_text(json.dumps({"accuracy": 1.0}))
    candidate = saved(theirs, "model.onnx", toy.linear(255))

    found = measure.evaluate(root, root / "ml", candidate, None, root / "ml/data/test.safetensors").candidate

    assert isinstance(found, Measured)
    assert found.metrics["accuracy"] == 0.5


def test_what_lies_beside_the_model_is_not_there_when_it_is_loaded(root: Path) -> None:
    """External data beside the file: the refusal is of the reference, and there would be nothing to read."""
    nodes, (weights, bias) = toy.parts()
    external = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4, 2], data_location=TensorProto.EXTERNAL)
    external.external_data.add(key="location", value="../weights")
    saved(root.parent, "weights", weights.raw_data)

    found = refused(root, toy.model(nodes, [external, bias]))

    assert "the tensor weights keeps its data outside of the file in ../weights" in found.refused


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"seconds": 6, "cpu_seconds": 3000}, "it took more than 6 s and was stopped"),
        ({"seconds": 900, "cpu_seconds": 5}, "it took more than 5 s of computing and was stopped"),
    ],
    ids=["wall", "cpu"],
)
def test_an_endless_loop_ends_with_the_limit(root: Path, limit: dict[str, Any], reason: str) -> None:
    change(root, limits=limit)
    began = time.monotonic()

    found = refused(root, toy.endless())

    assert (found.refused, found.cause) == (reason, "limits")
    # By the clock, however busy the machine is; the processor's time passes more slowly on one with other work.
    assert time.monotonic() - began < (30 if limit["seconds"] == 6 else 900)


def test_a_model_that_asks_for_more_memory_than_allowed_is_refused(root: Path) -> None:
    found = refused(root, toy.memory_bomb())

    assert (found.refused, found.cause) == ("it needs more than 4294967296 bytes of memory", "limits")


def test_a_constant_that_unfolds_while_the_model_is_loaded_is_refused(root: Path) -> None:
    size = numpy_helper.from_array(np.array([2**37], np.int64), "size")
    nodes, weights = toy.parts()
    nodes[2] = helper.make_node("Add", ["products", "bias"], ["sums"])
    nodes.append(helper.make_node("ConstantOfShape", ["size"], ["zeros"]))
    nodes.append(helper.make_node("ReduceMax", ["zeros"], ["most"], keepdims=0))
    nodes.append(helper.make_node("Add", ["sums", "most"], ["logits"]))

    found = refused(root, toy.model(nodes, [*weights, size]))

    assert (found.refused, found.cause) == ("it needs more than 4294967296 bytes of memory", "limits")


def test_a_file_beyond_its_limit_is_not_copied(root: Path) -> None:
    change(root, limits={"model_bytes": 100})

    assert refused(root, toy.linear()).refused.endswith("bytes; 100 are allowed")


def test_answers_beyond_their_limit_are_not_kept(root: Path) -> None:
    change(root, limits={"answer_bytes": 200})

    found = refused(root, toy.linear())

    assert (found.refused, found.cause) == ("it wrote more than 200 bytes and was stopped", "limits")


def lying(shape: list[int]) -> onnx.ModelProto:
    """A model whose output is not what it states."""
    nodes, weights = toy.parts()
    nodes[2] = helper.make_node("Add", ["products", "bias"], ["sums"])
    nodes.append(helper.make_node("Reshape", ["sums", "size"], ["logits"]))
    return toy.model(nodes, [*weights, numpy_helper.from_array(np.array(shape, np.int64), "size")])


def test_answers_for_fewer_rows_are_refused(root: Path) -> None:
    found = refused(root, lying([1, -1]))

    assert found.refused.startswith("its output logits is float32[1, 80] for 40 rows") or "shape" in found.refused
    assert found.cause in ("answers", "file")


def test_answers_that_are_no_numbers_are_refused(root: Path) -> None:
    found = refused(root, toy.linear(float("nan")))

    assert (found.refused, found.cause) == ("its output logits has values that are not finite numbers", "answers")


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ("def score(o, t): return {'accuracy': float('nan'), 'mistakes': 0}", "something else than finite numbers"),
        ("def score(o, t): return {'accuracy': 1.5, 'mistakes': 0}", "the metric accuracy is 1.5, outside of 0 to 1"),
        ("def score(o, t): return {'accuracy': 1}", "the metric mistakes was not measured"),
        ("def score(o, t): return {'accuracy': 1, 'mistakes': 0, 'x': 1}", "the metric x is not declared"),
        ("def score(o, t): return 7", "main's evaluator cannot score its answers: its process failed: AttributeError"),
        ("import toy.other\ndef score(o, t): return {}", "No module named 'toy.other'"),
        ("import os\nos._exit(0)", "main's evaluator"),
    ],
)
def test_an_evaluator_that_measures_something_else_measures_nothing(root: Path, score: str, reason: str) -> None:
    """A file that is not declared is not there either: the evaluator's hash would not cover it."""
    (root / "ml/src/toy/score.py").write_text(score + "\n")
    (root / "ml/src/toy/other.py").write_text("")

    assert reason in refused(root, toy.linear()).refused


def test_the_model_gets_no_targets_and_the_evaluator_no_variables(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_TOKEN", "secret")
    score = "import os\ndef score(o, t): return {'accuracy': float('BOT_TOKEN' in os.environ), 'mistakes': len(o)}"
    (root / "ml/src/toy/score.py").write_text(score)

    found = evaluate(root, toy.linear()).candidate

    assert isinstance(found, Measured)
    assert found.metrics == {"accuracy": 0.0, "mistakes": 1.0}


@pytest.mark.parametrize(
    ("change_rows", "reason"),
    [
        (lambda rows: rows.pop("images"), "has no tensor images"),
        (lambda rows: rows.update(labels=rows["labels"][:-1]), "one entry a row"),
        (lambda rows: rows.update(images=rows["images"].astype(np.float32)), "images float32[?, 4] does not fit"),
        (lambda rows: rows.update(images=rows["images"][:, :3]), "images uint8[?, 3] does not fit"),
        (lambda rows: rows.update({name: array[:0] for name, array in rows.items()}), "at least one row"),
    ],
)
def test_a_test_set_that_does_not_fit_is_named(root: Path, change_rows: Any, reason: str) -> None:
    rows = toy.rows(8)
    change_rows(rows)
    save_file({name: np.ascontiguousarray(array) for name, array in rows.items()}, root / "ml/data/test.safetensors")

    with pytest.raises(TestSetError, match=r"test\.safetensors") as caught:
        evaluate(root, toy.linear())
    assert reason in str(caught.value)


def test_a_test_set_that_is_damaged_is_named(root: Path) -> None:
    (root / "ml/data/test.safetensors").write_bytes(b"garbage")

    with pytest.raises(TestSetError, match="cannot be read as safetensors"):
        evaluate(root, toy.linear())


def test_a_missing_evaluator_is_named(root: Path) -> None:
    (root / "ml/src/toy/score.py").unlink()

    with pytest.raises(DeclarationError, match=r"toy/score\.py: is no file"):
        evaluate(root, toy.linear())
