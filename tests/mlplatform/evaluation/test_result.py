"""A result is believed only in the agreed form; it may have been written by the model that it is about."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlplatform.evaluation import result
from mlplatform.evaluation.declaration import Declaration
from mlplatform.evaluation.result import Evaluation, Measured, ResultError, beside, expect, parse, write

MODEL = {"sha256": "a" * 64, "md5": "b" * 32, "size": 7}
MAIN = {"sha256": "c" * 64, "md5": "d" * 32, "size": 8}
NUMBERS = {"accuracy": 0.98, "mistakes": 1.0}
WHOLE = {
    "version": 1,
    "evaluator": "e" * 64,
    "test_set": "f" * 64,
    "rows": 40,
    "candidate": {"model": MODEL, "metrics": NUMBERS},
    "baseline": {"model": MAIN, "metrics": NUMBERS},
}


def text(**changes: Any) -> bytes:
    return json.dumps(WHOLE | changes).encode()


def test_what_is_written_is_read(rules: Declaration) -> None:
    found = parse(text(), rules)

    assert isinstance(found.candidate, Measured)
    assert found.candidate.metrics == NUMBERS
    assert parse(write(found), rules) == found
    assert parse(text(baseline=None), rules).baseline is None
    refused = parse(text(candidate={"model": MODEL, "refused": "no", "cause": "file"}), rules)
    assert parse(write(refused), rules) == refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "JSON"),
        (b"accuracy 1.0", "JSON"),
        (b"[" * 200_000, "not in the agreed form"),
        (b"{" + b" " * 2**18 + b"}", "bytes; 262144 are allowed"),
        (b"[]", "not in the agreed form"),
        (text(more=1), "more: Extra inputs are not permitted"),
        (text(version=2), "version"),
        (text(rows=0), "rows"),
        (text(rows=40.5), "rows"),
        (text(rows="40"), "rows"),
        (text(evaluator="main"), "evaluator"),
        (text(test_set="../" * 20), "test_set"),
        (text(candidate=None), "candidate"),
        (text(candidate={"model": MODEL, "metrics": {}}), "candidate"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS, "more": 1}), "candidate"),
        (text(candidate={"model": MODEL | {"md5": "x"}, "metrics": NUMBERS}), "candidate"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"accuracy": "1.0"}}), "candidate"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"accuracy": True}}), "candidate"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"accuracy": None}}), "candidate"),
        (text().replace(b"0.98", b"NaN", 1), "not in the agreed form"),
        (text().replace(b"0.98", b"Infinity", 1), "not in the agreed form"),
        (text().replace(b"0.98", b"1e999", 1), "not in the agreed form"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"accuracy": 1.01}}), "1.01, outside of 0 to 1"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"mistakes": -1}}), "-1, outside of 0 to inf"),
        (text(baseline={"model": MAIN, "metrics": NUMBERS | {"accuracy": -1}}), "-1, outside of 0 to 1"),
        (text(candidate={"model": MODEL, "metrics": {"accuracy": 1}}), "the metric mistakes was not measured"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"f1": 1}}), "the metric f1 is not declared"),
        (text(candidate={"model": MODEL, "metrics": NUMBERS | {"<b>": 1}}), "candidate"),
        (text(candidate={"model": MODEL, "refused": "x" * 501, "cause": "file"}), "candidate"),
        (text(candidate={"model": MODEL, "refused": "x", "cause": "whim"}), "candidate"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(rules: Declaration, content: bytes, reason: str) -> None:
    with pytest.raises(ResultError) as caught:
        parse(content, rules)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("index", range(4))
def test_s4_a_result_of_other_files_than_asked_is_refused(rules: Declaration, index: int) -> None:
    wanted = ["b" * 32, "d" * 32, "e" * 64, "f" * 64]
    found = parse(text(), rules)
    expect(found, *wanted)
    wanted[index] = "0" * len(wanted[index])

    with pytest.raises(ResultError, match=" of the result is "):
        expect(found, *wanted)


def test_a_result_without_mains_model_is_refused_where_main_has_one(rules: Declaration) -> None:
    with pytest.raises(ResultError, match="main's model of the result is none"):
        expect(parse(text(baseline=None), rules), "b" * 32, "d" * 32, "e" * 64, "f" * 64)
    with pytest.raises(ResultError, match=f"main's model of the result is {'d' * 32}, not none"):
        expect(parse(text(), rules), "b" * 32, None, "e" * 64, "f" * 64)


def of(rules: Declaration, **changes: Any) -> Evaluation:
    return parse(text(**changes), rules)


def test_a_kept_measurement_stands_beside_one_of_the_same_code_and_rows(rules: Declaration) -> None:
    kept = of(rules, candidate=WHOLE["baseline"], baseline=None)
    found = beside(of(rules, baseline=None), kept)

    assert found == of(rules)
    for change in ({"evaluator": "0" * 64}, {"test_set": "0" * 64}, {"rows": 41}):
        with pytest.raises(ResultError, match="measure it anew"):
            beside(of(rules, **change), kept)


def test_the_reading_side_needs_none_of_what_measures() -> None:
    """`report` runs where neither numpy nor a runtime is installed."""
    code = (
        "import sys\n"
        "for name in ('numpy', 'onnx', 'onnxruntime', 'safetensors', 'torch'): sys.modules[name] = None\n"
        "from mlplatform.evaluation import declaration, identity, judgement, result, scope, split\n"
    )
    sources = Path(result.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(sources)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
