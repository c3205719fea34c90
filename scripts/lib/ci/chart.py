"""Mermaid charts and Markdown tables from numbers."""

from collections.abc import Sequence

from ci.metrics import Confusion, Curves

MOST_POINTS = 60
PALETTE = {"this pull request": "#2563eb", "main": "#f59e0b"}
SETTINGS = '%%{{init: {{"themeVariables": {{"xyChart": {{"plotColorPalette": "{palette}"}}}}}}}}%%'


def curve(title: str, column: str, candidate: Curves, baseline: Curves | None) -> str:
    """A chart of one column, with main's beneath where it has one; empty where the candidate lacks the column."""
    lines = [candidate.columns.get(column), baseline.columns.get(column) if baseline else None]
    if not lines[0] or len(lines[0]) < 2:
        return ""
    # The chart stretches every line over the whole axis, so epochs only where both have as many.
    lengths = {len(line) for line in lines if line and len(line) > 1}
    axis = f'"epoch" 1 --> {len(lines[0])}' if len(lengths) == 1 else '"progress of training (%)" 0 --> 100'
    drawn = [(colour, line) for colour, line in zip(PALETTE.values(), lines, strict=True) if line and len(line) > 1]
    values = [value for _, line in drawn for value in line]
    low, high = min(values), max(values)
    margin = (high - low) * 0.05 or 0.05
    # No room for what cannot be: losses and shares are never negative, and no share is above one.
    bottom = max(low - margin, 0) if low >= 0 else low - margin
    top = min(high + margin, 1) if column.endswith("accuracy") and high <= 1 else high + margin
    return "\n".join(
        [
            "```mermaid",
            SETTINGS.format(palette=", ".join(colour for colour, _ in drawn)),
            "xychart-beta",
            f'    title "{title}"',
            f"    x-axis {axis}",
            f"    y-axis {_number(bottom)} --> {_number(top)}",
            *(f"    line [{', '.join(_number(value) for value in _thinned(line))}]" for _, line in drawn),
            "```",
        ]
    )


def _thinned(line: Sequence[float]) -> list[float]:
    """At most `MOST_POINTS` of the values, evenly spaced, the first and last among them."""
    if len(line) <= MOST_POINTS:
        return list(line)
    step = (len(line) - 1) / (MOST_POINTS - 1)
    return [line[round(index * step)] for index in range(MOST_POINTS)]


def _number(value: float) -> str:
    # Mermaid reads no exponents.
    return f"{value:.6f}".rstrip("0").rstrip(".")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> str:
    """A Markdown table; columns from index `right` on are aligned right."""
    rule = ["---:" if index >= right else "---" for index in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, rule, *rows])


def confusion(matrix: Confusion) -> str:
    """The confusion matrix as a table: a row for each actual class, zeros left out, hits in bold."""
    rows = []
    for actual, counts in zip(matrix.classes, matrix.counts, strict=True):
        cells = [
            "" if not count else f"**{count}**" if predicted == actual else str(count)
            for predicted, count in zip(matrix.classes, counts, strict=True)
        ]
        rows.append([f"**{actual}**", *cells])
    return table(["actual \\ predicted", *matrix.classes], rows, right=1)


def code(value: object) -> str:
    """Text of unknown origin as inline code of a table's cell: it cannot end the cell, mention anybody or be a link."""
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text[:79] + '…' if len(text) > 80 else text}`" if text else ""
