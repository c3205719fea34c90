"""Metrics and plot data, read as what they are: files that a pull request's code wrote."""

import csv
import io
import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from ci.failure import Unacceptable

TEXT_LIMIT = 1024**2
MOST_VALUES = 200
MOST_ROWS = 100_000
MOST_CLASSES = 30
NAME = re.compile(r"[A-Za-z0-9_.@ -]{1,60}")


class MetricsError(Unacceptable):
    """Metrics or plot data that cannot be judged or drawn."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Finite numbers by dotted name; `accuracy`, between 0 and 1, is always there."""

    values: dict[str, float]

    @property
    def accuracy(self) -> float:
        """The share of correct answers, 0 to 1."""
        return self.values["accuracy"]


@dataclass(frozen=True, slots=True)
class Curves:
    """Columns of equal length by name, one entry an epoch."""

    columns: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Confusion:
    """`counts[actual][predicted]`, in the order of `classes`."""

    classes: list[str]
    counts: list[list[int]]


def parse_metrics(text: bytes, source: str) -> Metrics:
    """Read a metrics file. Raises `MetricsError` where `accuracy` is missing or any value is not a finite number."""
    try:
        content = json.loads(_text(text, source), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MetricsError(f"{source}: not valid JSON: {error}") from None
    values = dict(_flatten(content, "", source))
    if len(values) > MOST_VALUES:
        raise MetricsError(f"{source}: {len(values)} metrics are more than the {MOST_VALUES} allowed")
    accuracy = values.get("accuracy")
    if accuracy is None:
        raise MetricsError(f"{source}: accuracy is missing: the stage evaluate must write it")
    if not 0 <= accuracy <= 1:
        raise MetricsError(f"{source}: accuracy is {accuracy}, not a share between 0 and 1")
    return Metrics(values)


def parse_curves(text: bytes, source: str) -> Curves:
    """Read a CSV file with a header and numbers. Raises `MetricsError`."""
    header, *rows = _rows(text, source)
    if len(set(header)) != len(header) or not all(NAME.fullmatch(name) for name in header) or not rows:
        raise MetricsError(f"{source}: needs a header of different names, and at least one row")
    try:
        columns = {name: [float(row[index]) for row in rows] for index, name in enumerate(header)}
    except ValueError as error:
        raise MetricsError(f"{source}: {error}") from None
    if not all(math.isfinite(value) for column in columns.values() for value in column):
        raise MetricsError(f"{source}: has a value that is not a finite number")
    return Curves(columns)


def parse_confusion(text: bytes, source: str) -> Confusion:
    """Read a CSV file with the columns actual and predicted, one row an example. Raises `MetricsError`."""
    header, *rows = _rows(text, source)
    if header != ["actual", "predicted"]:
        raise MetricsError(f"{source}: the header must be actual,predicted")
    classes = sorted({name for row in rows for name in row}, key=lambda name: (not name.isdigit(), name.zfill(60)))
    if len(classes) > MOST_CLASSES or not all(NAME.fullmatch(name) for name in classes):
        raise MetricsError(f"{source}: more than {MOST_CLASSES} classes, or a class whose name is not plain text")
    place = {name: index for index, name in enumerate(classes)}
    counts = [[0] * len(classes) for _ in classes]
    for actual, predicted in rows:
        counts[place[actual]][place[predicted]] += 1
    return Confusion(classes, counts)


def _flatten(content: Any, prefix: str, source: str, depth: int = 0) -> list[tuple[str, float]]:
    if isinstance(content, dict) and depth < 4:
        found = []
        for name, value in content.items():
            path = f"{prefix}.{name}" if prefix else name
            if not NAME.fullmatch(path):
                raise MetricsError(f"{source}: the name {path[:80]!r} is not plain text of up to 60 characters")
            found += _flatten(value, path, source, depth + 1)
        return found
    if isinstance(content, bool) or not isinstance(content, int | float) or not prefix:
        raise MetricsError(f"{source}: {prefix or 'the content'} is not a number")
    try:
        value = float(content)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise MetricsError(f"{source}: {prefix} is {value}, not a finite number")
    return [(prefix, value)]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _rows(text: bytes, source: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(_text(text, source))) if row]
    except csv.Error as error:
        raise MetricsError(f"{source}: not valid CSV: {error}") from None
    if not rows or len(rows) > MOST_ROWS or any(len(row) != len(rows[0]) for row in rows):
        raise MetricsError(f"{source}: needs 1 to {MOST_ROWS} rows of equal length")
    return rows


def _text(text: bytes, source: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise MetricsError(f"{source}: {len(text)} bytes are more than the {TEXT_LIMIT} allowed")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise MetricsError(f"{source}: not UTF-8 text") from None
