"""The report, compared with golden files: `REFRESH_GOLDEN=1` writes them anew, to be read before they are committed."""

import os
from pathlib import Path

import pytest

from ci import chart
from ci.comment import Report, Results, render
from ci.gate import judge
from ci.metrics import Confusion, Curves, Metrics

GOLDEN = Path(__file__).parent / "golden"
RUN = "https://forge.example/ml/platform/actions/runs/7"
MAIN = Results(
    parameters={"train.epochs": 3, "train.rate": 0.1, "train.old": "x", "gate.tolerance": 0.005},
    metrics=Metrics({"accuracy": 0.98, "loss": 0.06, "recall.0": 0.97}),
    curves=Curves({"epoch": [1, 2, 3], "validation_loss": [1.5, 0.4, 0.06], "validation_accuracy": [0.5, 0.9, 0.98]}),
    confusion=Confusion(["0", "1"], [[9, 1], [0, 10]]),
)
BETTER = Results(
    parameters={"train.epochs": 3, "train.rate": 0.2, "train.new": True, "gate.tolerance": 0.005},
    metrics=Metrics({"accuracy": 0.99, "loss": 0.05, "recall.0": 0.97, "recall.1": 1.0}),
    curves=Curves({"epoch": [1, 2, 3], "validation_loss": [1.2, 0.3, 0.05], "validation_accuracy": [0.6, 0.92, 0.99]}),
    confusion=Confusion(["0", "1"], [[10, 0], [1, 9]]),
)
WORSE = Results(
    parameters={"train.epochs": 2, "train.rate": 0.1, "train.old": "x", "gate.tolerance": 0.9},
    metrics=Metrics({"accuracy": 0.9, "loss": 0.4}),
    curves=Curves({"epoch": [1, 2], "validation_loss": [1.5, 0.4], "validation_accuracy": [0.5, 0.9]}),
)
NOTHING = Results({})
REPORTS = {
    "passed": Report(7, "a" * 40, judge(MAIN.metrics, BETTER.metrics, 0.005), 0.005, MAIN, BETTER, RUN),
    "first": Report(1, "a" * 40, judge(None, BETTER.metrics, 0.005), 0.005, Results(MAIN.parameters), BETTER, RUN),
    "failed": Report(7, "a" * 40, judge(MAIN.metrics, WORSE.metrics, 0.005), 0.005, MAIN, WORSE, RUN),
    "waiting": Report(7, "a" * 40, None, None, Results(MAIN.parameters), Results(BETTER.parameters)),
    "refused": Report(7, "a" * 40, judge(None, None, 0, ["training failed"]), None, NOTHING, NOTHING, RUN),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_report_reads_as_agreed(name: str) -> None:
    golden = GOLDEN / f"{name}.md"
    text = render(REPORTS[name])
    if os.environ.get("REFRESH_GOLDEN"):
        golden.write_text(text, encoding="utf-8")

    assert text == golden.read_text(encoding="utf-8")


def test_text_of_the_pull_request_is_shown_as_text() -> None:
    hostile = "</td>|`<img src=x onerror=1>` @everyone\n\n# heading " + "x" * 200
    parameters = {"train.name": hostile, hostile: 1}
    verdict = judge(None, None, 0, [f"ml/dvc.yaml: stage {hostile}: not understood"])
    text = render(Report(7, "a" * 40, verdict, None, Results({"train.name": "x"}), Results(parameters)))

    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)
    outside_code = "".join(text.split("`")[::2])
    assert "<img" not in outside_code
    assert "@everyone" not in outside_code
    assert "\n# heading" not in text


def test_s29_a_comment_never_grows_beyond_what_the_forges_take() -> None:
    long = {f"{'k' * 70}{number:05d}": "v" * 200 for number in range(199)}
    many = Metrics({"accuracy": 0.99, **{f"{'m' * 50}{number:05d}": 0.123456 for number in range(199)}})
    curves = Curves({"validation_loss": [value / 7 for value in range(100)]})
    classes = [f"class{number:020d}" for number in range(30)]
    matrix = Confusion(classes, [[12345] * 30 for _ in range(30)])
    main = Results({f"{'b' * 70}{number}": 1 for number in range(200)}, many, curves, matrix)
    text = render(Report(7, "a" * 40, judge(many, many, 0.1), 0.1, main, Results(long, many, curves, matrix), RUN))

    assert 10_000 < len(text) <= 65_536
    assert "more." in text
    assert "and 299 more." in text
    assert "Confusion matrix" in text
    assert text.rstrip().endswith("a" * 40)


def test_s29_a_report_without_end_is_cut() -> None:
    verdict = judge(None, None, 0, ["x" * 900 + str(number) for number in range(200)])
    text = render(Report(7, "a" * 40, verdict, None, NOTHING, NOTHING, RUN))

    assert len(text) <= 65_536
    assert text.endswith("… cut here\n")


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    line = [float(value) for value in range(500)]
    text = chart.curve("Loss", "loss", Curves({"loss": line}), None)

    [values] = [row for row in text.splitlines() if row.strip().startswith("line")]
    drawn = values.partition("[")[2].rstrip("]").split(", ")
    assert len(drawn) == 60
    assert (drawn[0], drawn[-1]) == ("0", "499")


def test_numbers_are_written_without_exponents() -> None:
    text = chart.curve("Loss", "loss", Curves({"loss": [1e-5, 1e6]}), None)

    assert "e-" not in text
    assert "0.00001, 1000000]" in text


def test_a_flat_or_missing_curve_is_no_trouble() -> None:
    flat = Curves({"loss": [0.5, 0.5]})

    assert "y-axis 0.45 --> 0.55" in chart.curve("Loss", "loss", flat, flat)
    assert chart.curve("Loss", "other", flat, flat) == ""
    assert chart.curve("Loss", "loss", Curves({"loss": [0.5]}), flat) == ""
