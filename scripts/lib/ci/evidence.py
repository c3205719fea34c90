"""What a commit has to show: its metrics, parameters and plots."""

from collections.abc import Callable
from typing import Any, TypeVar

from ci import metrics as measured
from ci.comment import Results
from ci.document import DocumentError, mapping, parse_yaml
from ci.failure import Unacceptable
from ci.tree import Tree
from digits import params
from digits.errors import UserError

MAIN = "main"
FOLDER = "ml"
METRICS = f"{FOLDER}/metrics.json"
PARAMETERS = f"{FOLDER}/params.yaml"
CURVES = f"{FOLDER}/plots/curves.csv"
CONFUSION = f"{FOLDER}/plots/confusion.csv"
MOST_PARAMETERS = 200

Plot = TypeVar("Plot")


def tolerance(main: Tree) -> float:
    """How far accuracy may fall, by the parameters of `main`. Raises `DocumentError` where they do not say."""
    text = main.read(PARAMETERS)
    if text is None:
        raise DocumentError(f"{MAIN} has no {PARAMETERS}, which says what the gate allows")
    try:
        found = params.parse(text.decode("utf-8", errors="replace"), f"{MAIN}'s {PARAMETERS}").gate
    except UserError as error:
        raise DocumentError(str(error)) from None
    if found is None:
        raise DocumentError(
            f"{MAIN}'s {PARAMETERS} has no gate.tolerance, and {FOLDER}/evaluation.yaml is missing: restore it"
        )
    return found.tolerance


def metrics(tree: Tree) -> measured.Metrics | None:
    """The metrics of a commit, `None` where it has none. Raises `MetricsError`."""
    text = tree.read(METRICS)
    return None if text is None else measured.parse_metrics(text, METRICS)


def collect(tree: Tree, values: measured.Metrics | None = None) -> Results:
    """What the comment shows of a commit. What cannot be read is left out: the gate, not the drawing, has its say."""
    return Results(
        parameters=_parameters(tree),
        metrics=values,
        curves=_plot(tree, CURVES, measured.parse_curves) if values else None,
        confusion=_plot(tree, CONFUSION, measured.parse_confusion) if values else None,
    )


def _plot(tree: Tree, path: str, parse: Callable[[bytes, str], Plot]) -> Plot | None:
    try:
        text = tree.read(path)
        return None if text is None else parse(text, path)
    except Unacceptable as error:
        print(f"not drawn: {error}")
        return None


def _parameters(tree: Tree) -> dict[str, Any]:
    try:
        text = tree.read(PARAMETERS)
        content = {} if text is None else mapping(parse_yaml(text, PARAMETERS), PARAMETERS)
    except Unacceptable as error:
        print(f"not compared: {error}")
        return {}
    return dict(_flatten(content, "", MOST_PARAMETERS))


def _flatten(content: dict[Any, Any], prefix: str, limit: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in content.items():
        name = f"{prefix}{key}"
        found += _flatten(value, f"{name}.", limit) if isinstance(value, dict) else [(name, value)]
    return found[:limit]
