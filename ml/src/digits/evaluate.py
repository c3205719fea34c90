"""Stage `evaluate`: measure the exported model on the validation set and check that it computes what torch computes."""

from digits import reproducible  # isort: skip - must come before torch and onnxruntime

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from digits import export, model, params
from digits.errors import UserError, run
from digits.prepare import Examples
from digits.score import CLASSES, score


@dataclass(frozen=True)
class Report:
    """What is known of a model: `metrics` for metrics.json, and the predicted digit of each validation image, (n,)."""

    metrics: dict[str, Any]
    predicted: NDArray[np.int64]


def evaluate(torch_logits: NDArray[np.float32], onnx_logits: NDArray[np.float32], labels: NDArray[np.uint8]) -> Report:
    """Compute the metrics of the served model from its logits (n, 10) and the true labels (n,).

    They are those of `score`; `parity` is the largest absolute difference of the two sets of logits.
    """
    numbers = score({export.OUTPUT: onnx_logits}, {"labels": labels})
    metrics = {
        "accuracy": numbers["accuracy"],
        "loss": numbers["loss"],
        "parity": float(f"{np.abs(torch_logits - onnx_logits).max():.1e}"),
        "recall": {str(digit): numbers[f"recall.{digit}"] for digit in range(CLASSES)},
        "validation_images": len(labels),
    }
    return Report(metrics, onnx_logits.argmax(1))


def check_parity(report: Report, torch_logits: NDArray[np.float32], tolerance: float) -> None:
    """Refuse an export that differs from torch by more than `tolerance`, or in any answer. Raises `UserError`."""
    difference = report.metrics["parity"]
    if not difference <= tolerance:  # also when it is not a number
        raise UserError(
            f"model.onnx: its logits differ from torch by {difference}, more than evaluate.parity_tolerance "
            f"{tolerance} of {params.PARAMS_FILE}; correct the export"
        )
    changed = int((torch_logits.argmax(1) != report.predicted).sum())
    if changed:
        raise UserError(f"model.onnx: answers differ from torch for {changed} images; correct the export")


@torch.no_grad()
def torch_logits(weights: Path, settings: params.Train, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run the saved weights with torch on images (n, 8, 8); return logits (n, 10)."""
    network = model.build(settings).eval()
    export.load_weights(network, weights)
    logits: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
    return logits


def onnx_logits(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run the exported model with ONNX Runtime on images (n, 8, 8); return logits (n, 10). Raises `UserError`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has one exception class for each of its status codes
        raise UserError(f"{path}: cannot be loaded ({error}); run `dvc repro train`") from None
    logits: NDArray[np.float32] = session.run([export.OUTPUT], {export.INPUT: images})[0]
    return logits


def write_metrics(metrics: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="ascii")


def write_confusion(labels: NDArray[np.uint8], predicted: NDArray[np.int64], path: Path) -> None:
    """Write one row a validation image: its true and its predicted digit, the form of DVC's confusion template."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="ascii") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["actual", "predicted"])
        table.writerows(zip(labels.tolist(), predicted.tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the exported model.")
    parser.add_argument("data", type=Path, help="directory with validation.safetensors")
    parser.add_argument("model", type=Path, help="directory with model.safetensors and model.onnx")
    parser.add_argument("metrics", type=Path, help="JSON file for the metrics")
    parser.add_argument("confusion", type=Path, help="CSV file for the confusion matrix")
    arguments = parser.parse_args()
    settings = params.load()
    reproducible.start(settings.train.seed)
    validation = Examples.load(arguments.data / "validation.safetensors")
    reference = torch_logits(arguments.model / "model.safetensors", settings.train, validation.images)
    served = onnx_logits(arguments.model / "model.onnx", validation.images)
    report = evaluate(reference, served, validation.labels)
    check_parity(report, reference, settings.evaluate.parity_tolerance)
    write_metrics(report.metrics, arguments.metrics)
    write_confusion(validation.labels, report.predicted, arguments.confusion)
    print(f"accuracy {report.metrics['accuracy']:.4f}, parity {report.metrics['parity']:g}")


if __name__ == "__main__":
    run(main)
