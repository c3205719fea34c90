"""Metrics and plots that a pull request's code wrote, well and ill."""

import pytest

from ci.metrics import MetricsError, parse_confusion, parse_curves, parse_metrics

SOURCE = "ml/metrics.json"


def test_metrics_are_flattened() -> None:
    metrics = parse_metrics(b'{"accuracy": 0.5, "recall": {"0": 1, "1": 0.25}}', SOURCE)

    assert metrics.accuracy == 0.5
    assert metrics.values == {"accuracy": 0.5, "recall.0": 1.0, "recall.1": 0.25}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"accuracy": NaN}', "NaN is not a number"),
        (b'{"accuracy": Infinity}', "Infinity is not a number"),
        (b'{"accuracy": 1e999}', "accuracy is inf, not a finite number"),
        (b'{"accuracy": "0.9"}', "accuracy is not a number"),
        (b'{"accuracy": true}', "accuracy is not a number"),
        (b'{"accuracy": null}', "accuracy is not a number"),
        (b'{"accuracy": 1.5}', "not a share between 0 and 1"),
        (b'{"accuracy": -0.1}', "not a share between 0 and 1"),
        (b'{"loss": 0.1}', "accuracy is missing"),
        (b"0.9", "is not a number"),
        (b"[0.9]", "is not a number"),
        (b'{"accuracy": 0.9, "a|b": 1}', "not plain text"),
        (b'{"accuracy": 0.9, "@everyone <img>": 1}', "not plain text"),
        (b'{"accuracy": 0.9, "a": {"b": {"c": {"d": {"e": 1}}}}}', "is not a number"),
        (b'{"accuracy": 0.9, ' + b",".join(b'"m%d": 1' % n for n in range(300)) + b"}", "more than the 200"),
        (b'{"accuracy": 0.9}' + b" " * 2**20, "bytes are more than"),
        (b'{"accuracy": 0.9, "\xff": 1}', "not UTF-8"),
        (b'{"accuracy": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"accuracy": ' + b"9" * 400 + b"}", "not a finite number"),
    ],
)
def test_bad_metrics_are_refused_with_file_and_reason(text: bytes, reason: str) -> None:
    with pytest.raises(MetricsError) as caught:
        parse_metrics(text, SOURCE)

    assert str(caught.value).startswith(f"{SOURCE}: ")
    assert reason in str(caught.value)


def test_curves_are_columns() -> None:
    curves = parse_curves(b"epoch,validation_loss\n1,0.5\n2,0.25\n", "curves.csv")

    assert curves.columns == {"epoch": [1.0, 2.0], "validation_loss": [0.5, 0.25]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"epoch,loss\n",
        b"epoch,epoch\n1,2\n",
        b"epoch,loss\n1\n",
        b"epoch,loss\n1,x\n",
        b"epoch,loss\n1,nan\n",
        b"epoch,<script>\n1,2\n",
        b"epoch,loss\n" + b"1,2\n" * 100_001,
        b"\xff",
        b'epoch,loss\n1,"2\n' + b"x" * 200_000,
    ],
)
def test_bad_curves_are_refused(text: bytes) -> None:
    with pytest.raises(MetricsError, match=r"^curves\.csv: "):
        parse_curves(text, "curves.csv")


def test_confusion_is_counted_in_the_order_of_the_digits() -> None:
    matrix = parse_confusion(b"actual,predicted\n2,10\n10,10\n2,2\n2,10\n", "confusion.csv")

    assert matrix.classes == ["2", "10"]
    assert matrix.counts == [[1, 2], [0, 1]]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"truth,guess\n1,1\n",
        b"actual,predicted\n1,<img>\n",
        b"actual,predicted\n" + b"".join(b"%d,0\n" % n for n in range(40)),
        b"actual,predicted\n1,1,1\n",
    ],
)
def test_bad_confusion_is_refused(text: bytes) -> None:
    with pytest.raises(MetricsError, match=r"^confusion\.csv: "):
        parse_confusion(text, "confusion.csv")
