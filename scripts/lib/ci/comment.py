"""The one comment that reports on a pull request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci import chart
from ci.gate import Verdict
from ci.metrics import Confusion, Curves, Metrics
from mlplatform.evaluation.declaration import Metric
from mlplatform.evaluation.judgement import Number

MARKER = "<!-- ml-platform:report -->"
CURVES = {"validation_loss": "Loss on the validation set", "validation_accuracy": "Accuracy on the validation set"}
MOST_SENTENCE = 1000
# Gitea and GitHub take 65,536 characters.
MOST_TEXT = 60_000
# Rows a table, tried until the comment is short enough.
LIMITS = (400, 100, 25, 5, 0)
# The last ends a mention without showing.
ENTITIES = {"&": "&amp;", "<": "&lt;", "[": "&#91;", "`": "&#96;", "*": "&#42;", "@": "@&#8203;"}
MAIN = "measured by main"
MEASURED = ("metric", "main", "this pull request", "change")
HEADLINES = {True: "passed", False: "failed", None: "waiting for training"}


@dataclass(frozen=True, slots=True)
class Results:
    """What one side, main or the pull request, has to show; `None` and empty where it has nothing."""

    parameters: Mapping[str, Any]
    metrics: Metrics | None = None
    curves: Curves | None = None
    confusion: Confusion | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What main's own code has to say: every number with its source, and main's rules for it; `waits` as long as that
    code has yet to measure or compare something."""

    numbers: tuple[Number, ...]
    rules: Mapping[str, Metric]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """All that the comment says. `verdict` is `None` while training runs; `asks` where an owner has to decide."""

    number: int
    head_sha: str
    verdict: Verdict | None
    tolerance: float | None
    main: Results
    candidate: Results
    run_url: str = ""
    notes: tuple[str, ...] = ()
    measured: Measured | None = None
    asks: bool = False


def render(report: Report) -> str:
    """The comment's Markdown, without the marker, within what the forges take; it renders alike on Gitea and GitHub."""
    for most in LIMITS:
        text = _render(report, most)
        if len(text) <= MOST_TEXT:
            return text
    # Only a hostile result comes this far.
    return text[:MOST_TEXT] + "\n\n… cut here\n"


def _render(report: Report, most: int) -> str:
    verdict = report.verdict
    parts = [f"## Quality gate: {_headline(report)}"]
    if verdict and verdict.passed:
        parts.append(f"{verdict.summary}.")
    elif verdict:
        parts.append("\n".join(f"- {sentence(reason)}" for reason in verdict.reasons))
    else:
        parts.append("The lock is not fresh, so the pipeline runs on this commit. This comment is then written anew.")
    parts += [sentence(note) for note in report.notes]
    metrics = _metrics(report, most) if report.measured is None else _numbers(report.measured, most)
    tables = metrics, _parameters(report, most), _curves(report), _confusion(report)
    parts += [text for text in tables if text]
    parts.append(_footer(report))
    return "\n\n".join(parts) + "\n"


def _headline(report: Report) -> str:
    if report.measured and report.measured.waits:
        return "waiting for main's measurement"
    if report.asks:
        return "an owner decides"
    return HEADLINES[report.verdict.passed if report.verdict else None]


def sentence(text: str) -> str:
    """One plain sentence. It may quote what a pull request wrote: no markup, no mention, no second line."""
    plain = " ".join(text.split())[:MOST_SENTENCE]
    for character, entity in ENTITIES.items():
        plain = plain.replace(character, entity)
    return plain if plain.endswith((".", "!", "?")) else f"{plain}."


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> str:
    """At most so many rows, and how many more there are."""
    shown = chart.table(header, rows[:most], right=1)
    return f"{shown}\n\nand {len(rows) - most} more." if len(rows) > most else shown


def _metrics(report: Report, most: int) -> str:
    after = report.candidate.metrics
    if after is None:
        return ""
    before = report.main.metrics
    rows: dict[bool, list[list[str]]] = {True: [], False: []}
    for name, value in after.values.items():
        old = before.values.get(name) if before else None
        change = "" if old is None else f"{value - old:+.6g}" if value != old else "0"
        rows["." not in name].append([chart.code(name), "" if old is None else f"{old:.6g}", f"{value:.6g}", change])
    header = ["metric", "main", "this pull request", "change"]
    text = f"### Metrics\n\n{_table(header, rows[True], most)}"
    if rows[False]:
        more = _table(header, rows[False], most)
        text += f"\n\n<details><summary>More metrics</summary>\n\n{more}\n\n</details>"
    if report.tolerance is not None:
        text += f"\n\nMain allows accuracy to fall by {report.tolerance:g}."
    return text


def _numbers(measured: Measured, most: int) -> str:
    """Each number with whose code came to it: only main's decide."""
    own = [number for number in measured.numbers if number.source == MAIN]
    rows = [
        [
            chart.code(one.name),
            _number(one.main),
            _number(one.candidate),
            "" if one.main is None or one.candidate is None else f"{round(one.candidate - one.main, 9):+.6g}",
        ]
        for one in own
    ]
    parts = ["### Metrics"]
    if rows:
        parts.append(f"Measured by main's code, on main's test set:\n\n{_table(MEASURED, rows, most)}")
    for name, metric in measured.rules.items():
        if metric.tolerance is not None:
            verb = "fall" if metric.better == "higher" else "rise"
            parts.append(f"Main allows {name} to {verb} by {metric.tolerance:g}.")
    said = [[chart.code(one.name), _number(one.candidate)] for one in measured.numbers if one.source != MAIN]
    if said:
        table = _table(["metric", "this pull request"], said, most)
        parts.append(
            "<details><summary>Reported by the run: its own numbers, on its own validation data. They decide "
            f"nothing</summary>\n\n{table}\n\n</details>"
        )
    return "\n\n".join(parts)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _parameters(report: Report, most: int) -> str:
    before, after = report.main.parameters, report.candidate.parameters
    rows = [
        [chart.code(name), chart.code(before.get(name, "")), chart.code(after.get(name, ""))]
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if not before or not after:
        return ""
    if not rows:
        return "### Parameters\n\nThe same as on main."
    text = f"### Parameters\n\n{_table(['parameter', 'main', 'this pull request'], rows, most)}"
    if any(name.startswith("gate.") for name in {*before, *after} if before.get(name) != after.get(name)):
        text += "\n\nThe gate judges by main's own `gate` parameters; a change to them counts from its merge on."
    return text


def _curves(report: Report) -> str:
    after, before = report.candidate.curves, report.main.curves
    if after is None:
        return ""
    charts = [chart.curve(title, column, after, before) for column, title in CURVES.items()]
    drawn = "\n\n".join(text for text in charts if text)
    legend = "Blue: this pull request; amber: main." if before else "Main has no curves yet."
    return f"### Curves\n\n{legend}\n\n{drawn}" if drawn else ""


def _confusion(report: Report) -> str:
    matrix = report.candidate.confusion
    if matrix is None:
        return ""
    return f"<details><summary>Confusion matrix</summary>\n\n{chart.confusion(matrix)}\n\n</details>"


def _footer(report: Report) -> str:
    run = f"[Training run]({report.run_url}) · " if report.run_url else ""
    fetch = f"git fetch origin refs/pull/{report.number}/head && git switch --detach {report.head_sha}"
    return (
        f"<details><summary>How to reproduce</summary>\n\n```\n{fetch}\n"
        'eval "$(scripts/env local)" && cd ml && dvc pull --allow-missing --remote storage'
        " && dvc repro\n```\n\n</details>\n\n"
        f"{run}commit {report.head_sha}"
    )
