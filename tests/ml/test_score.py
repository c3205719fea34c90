"""Main's own measure is right, and needs neither torch nor a model."""

import math
import subprocess
import sys

import numpy as np
import pytest

from digits.score import score
from settings import ROOT

LABELS = np.arange(10, dtype=np.uint8)
PERFECT = (np.eye(10) * 5).astype(np.float32)


def test_a_perfect_model() -> None:
    numbers = score({"logits": PERFECT}, {"labels": LABELS})
    assert numbers["accuracy"] == 1
    assert numbers["loss"] == pytest.approx(-math.log(math.e**5 / (math.e**5 + 9)), abs=1e-6)
    assert [numbers[f"recall.{digit}"] for digit in range(10)] == [1] * 10


def test_a_digit_that_is_taken_for_another_and_one_that_does_not_occur() -> None:
    logits = PERFECT[1:].copy()
    logits[8] = PERFECT[4]
    numbers = score({"logits": logits}, {"labels": LABELS[1:]})
    assert numbers["accuracy"] == pytest.approx(8 / 9, abs=1e-6)
    assert (numbers["recall.0"], numbers["recall.4"], numbers["recall.9"]) == (0, 1, 0)


def test_it_loads_without_torch() -> None:
    script = "import sys; sys.modules['torch'] = None; import digits.score"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "ml/src", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
