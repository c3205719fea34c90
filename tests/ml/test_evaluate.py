"""The metrics are right, and an export that computes something else is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from digits import evaluate
from digits.errors import UserError

LABELS = np.arange(10, dtype=np.uint8)
PERFECT = (np.eye(10) * 5).astype(np.float32)


def test_a_perfect_model() -> None:
    metrics = evaluate.evaluate(PERFECT, PERFECT, LABELS).metrics
    assert metrics["accuracy"] == 1
    assert metrics["loss"] == pytest.approx(-math.log(math.e**5 / (math.e**5 + 9)), abs=1e-6)
    assert metrics["parity"] == 0
    assert metrics["recall"] == {str(digit): 1 for digit in range(10)}
    assert metrics["validation_images"] == 10


def test_a_model_that_takes_nines_for_fours() -> None:
    logits = PERFECT.copy()
    logits[9] = PERFECT[4]
    report = evaluate.evaluate(logits, logits, LABELS)
    assert report.metrics["accuracy"] == 0.9
    assert report.metrics["recall"]["9"] == 0
    assert report.metrics["recall"]["4"] == 1
    assert report.predicted.tolist() == [*range(9), 4]


def test_large_logits_do_not_overflow() -> None:
    assert evaluate.evaluate(PERFECT, PERFECT * 1000, LABELS).metrics["loss"] == 0


@pytest.mark.parametrize("difference", [0.01, float("nan")])
def test_a_difference_above_the_tolerance_is_refused(difference: float) -> None:
    served = PERFECT.copy()
    served[3, 7] += difference
    report = evaluate.evaluate(PERFECT, served, LABELS)
    with pytest.raises(
        UserError, match=r"more than evaluate.parity_tolerance 0.001 of params.yaml; correct the export"
    ):
        evaluate.check_parity(report, PERFECT, 0.001)


def test_another_answer_is_refused_however_small_the_difference() -> None:
    reference = np.zeros((10, 10), np.float32)
    served = reference.copy()
    served[2, 5] = 1e-6
    with pytest.raises(UserError, match="answers differ from torch for 1 images"):
        evaluate.check_parity(evaluate.evaluate(reference, served, LABELS), reference, 0.001)


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"oops")
    with pytest.raises(UserError, match=r"model.onnx: cannot be loaded \(.*\); run `dvc repro train`"):
        evaluate.onnx_logits(tmp_path / "model.onnx", np.zeros((1, 8, 8), np.uint8))


def test_files_have_one_form(tmp_path: Path) -> None:
    evaluate.write_metrics({"accuracy": 0.5}, tmp_path / "metrics.json")
    evaluate.write_confusion(LABELS[:2], np.array([0, 7]), tmp_path / "plots" / "confusion.csv")
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"accuracy": 0.5}
    assert (tmp_path / "plots" / "confusion.csv").read_text() == "actual,predicted\n0,0\n1,7\n"
