"""Measure a candidate's model beside main's: `python -m mlplatform.evaluation ... --out result.json`.

Everything but the candidate's file is main's. The exit status is 0 also when the candidate is refused, which is a
result; 2 when main's own files cannot be used.
"""

import argparse
import sys
from pathlib import Path

from mlplatform.evaluation import measure, result
from mlplatform.evaluation.declaration import DeclarationError
from mlplatform.evaluation.result import Measured, Refused


def _said(name: str, side: Measured | Refused | None) -> str:
    if side is None:
        return f"{name}: none"
    if isinstance(side, Refused):
        return f"{name}: refused: {side.refused}"
    return f"{name}: " + ", ".join(f"{metric} {value:g}" for metric, value in sorted(side.metrics.items()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlplatform.evaluation", description="Measure a model.")
    parser.add_argument("--root", type=Path, required=True, help="the checkout of main")
    parser.add_argument("--project", type=Path, required=True, help="the project's folder in it, with evaluation.yaml")
    parser.add_argument("--candidate", type=Path, required=True, help="the candidate's ONNX file")
    parser.add_argument("--baseline", type=Path, help="main's ONNX file, if main has a model")
    parser.add_argument("--test-set", type=Path, required=True, help="main's test set")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    given = parser.parse_args()
    try:
        evaluation = measure.evaluate(given.root, given.project, given.candidate, given.baseline, given.test_set)
        given.out.write_bytes(result.write(evaluation))
    except (DeclarationError, measure.TestSetError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(_said("candidate", evaluation.candidate))
    print(_said("main", evaluation.baseline))


if __name__ == "__main__":
    main()
