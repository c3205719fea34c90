"""The process that compares the rows of files which anybody may have made; run by `bounded`, which limits it.

`python -m mlplatform.evaluation.compare growth|leaks PLAN OUT`: plan and result are JSON.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file

from mlplatform.evaluation import growth, rows
from mlplatform.evaluation.declaration import describe
from mlplatform.evaluation.rows import Row


class Incomparable(Exception):
    """A file whose rows cannot be compared; the message is the rest of a sentence about it."""


def grown(old: Path, new: Path, inputs: Sequence[str], share: float) -> tuple[list[str], int, int]:
    """Why an owner has to approve a new test set in place of main's, nothing where it only grew; how many rows main's
    has, and how many are new, 0 where they cannot be compared."""
    try:
        arrays = _load(new, inputs)
    except Incomparable as error:
        return [f"it {error}"], 0, 0
    before, after = rows.load(old, inputs), rows.rows(arrays, inputs)
    return growth.faults(before, after, share), len(before), growth.added(before, after)


def leaks(
    tests: Sequence[Path], files: Mapping[str, Path], inputs: Sequence[str]
) -> tuple[dict[str, int], dict[str, str]]:
    """How many rows of the test sets each file shows (only those that show any), and why a file cannot be compared.

    Args:
        tests: main's test set first, then the one in its place, if any.
        files: the training data, by the names under which they are told.
        inputs: the tensors that a model is shown.
    """
    shown = {name: load_file(tests[0])[name] for name in inputs}
    kinds = {name: _kind(name, array) for name, array in shown.items()}
    held_out: dict[bytes, Row] = {}
    for path in tests:
        held_out |= {row.input: row for row in rows.load(path, inputs)}
    found, unread = {}, {}
    for name, path in sorted(files.items()):
        try:
            arrays = _load(path, inputs)
            for tensor, kind in kinds.items():
                if (given := _kind(tensor, arrays[tensor])) != kind:
                    raise Incomparable(f"holds {given}, where the test set holds {kind}")
        except Incomparable as error:
            unread[name] = str(error)
            continue
        entries = rows.rows({tensor: arrays[tensor] for tensor in inputs}, inputs)
        if count := growth.leaked(list(held_out.values()), entries):
            found[name] = count
    return found, unread


def _load(path: Path, inputs: Sequence[str]) -> dict[str, Any]:
    try:
        arrays: dict[str, Any] = load_file(path)
    # What numpy has no type for is a KeyError.
    except (OSError, SafetensorError, KeyError):
        raise Incomparable("cannot be read as safetensors") from None
    if missing := sorted(set(inputs) - arrays.keys()):
        raise Incomparable(f"has no tensor {missing[0]}")
    if any(array.ndim == 0 for array in arrays.values()) or len({len(array) for array in arrays.values()}) != 1:
        raise Incomparable("does not have one entry a row in each tensor")
    return arrays


def _kind(name: str, array: Any) -> str:
    return describe(name, str(array.dtype), (None, *array.shape[1:]))


def main() -> None:
    what, plan, out = sys.argv[1:]
    given = json.loads(Path(plan).read_text(encoding="utf-8"))
    if what == "growth":
        result: Any = grown(Path(given["old"]), Path(given["new"]), given["inputs"], given["share"])
    else:
        files = {name: Path(path) for name, path in given["files"].items()}
        result = leaks([Path(path) for path in given["tests"]], files, given["inputs"])
    Path(out).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
