"""How good answers are: main measures every model by this (`evaluation.yaml`), and a run its own by the same.

It gets the model's answers, never the model, and needs numpy alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

CLASSES = 10


def score(outputs: Mapping[str, Any], targets: Mapping[str, Any]) -> dict[str, float]:
    """Compare the logits (n, 10) in `outputs` with the true `labels` (n,) in `targets`.

    `loss` is the mean cross-entropy in nats; `recall.<digit>` is 0 where the digit does not occur.
    """
    logits, labels = outputs["logits"], targets["labels"]
    predicted = logits.argmax(1)
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    log_likelihood = shifted[np.arange(len(labels)), labels] - np.log(np.exp(shifted).sum(1))
    numbers = {"accuracy": _rounded((predicted == labels).mean()), "loss": _rounded(-log_likelihood.mean())}
    for digit in range(CLASSES):
        of_digit = predicted[labels == digit]
        numbers[f"recall.{digit}"] = _rounded((of_digit == digit).mean()) if len(of_digit) else 0.0
    return numbers


def _rounded(value: float) -> float:
    return round(float(value), 6)
