"""Measure models with main's code on main's test set, the candidate and main's own in the same run."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mlplatform.evaluation import bounded, declaration, identity, result
from mlplatform.evaluation.declaration import Declaration, DeclarationError, describe
from mlplatform.evaluation.result import MOST_REASON, Evaluation, Measured, Refused

PREDICT, SCORE = "mlplatform.evaluation.predict", "mlplatform.evaluation.score"
MOST_NUMBERS = 64 * 2**10


class TestSetError(Exception):
    """A test set on which nothing can be measured. The message names file and fault."""

    __test__ = False  # no class of tests


@dataclass(frozen=True, slots=True)
class Rows:
    """A test set: arrays with one entry a row, by the model's inputs, and by the names of the targets."""

    inputs: dict[str, Any]
    targets: dict[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))


def evaluate(root: Path, project: Path, candidate: Path, baseline: Path | None, test_set: Path) -> Evaluation:
    """Measure the candidate's model, and main's if there is one.

    Args:
        root: the checkout of main.
        project: the project's folder in it.
        candidate: the candidate's ONNX file, which may hold anything.
        baseline: main's ONNX file.
        test_set: main's test set.

    Raises:
        DeclarationError: main's own declaration or a file that it names cannot be used.
        TestSetError: the test set cannot be used.
    """
    rules = declaration.load(project)
    rows = read(test_set, rules)
    with measuring(root, rules, rows) as one:
        return Evaluation(
            evaluator=identity.evaluator(root, rules),
            test_set=identity.test_set(test_set),
            rows=len(rows),
            candidate=one.measure(candidate),
            baseline=one.measure(baseline) if baseline else None,
        )


def read(path: Path, rules: Declaration) -> Rows:
    """The test set's rows. Raises `TestSetError`."""
    try:
        if path.stat().st_size > rules.limits.test_set_bytes:
            raise TestSetError(f"{path}: larger than limits.test_set_bytes {rules.limits.test_set_bytes} allows")
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise TestSetError(f"{path}: cannot be read as safetensors ({error})") from None
    if missing := sorted(rules.test_set.inputs.keys() - arrays.keys()):
        raise TestSetError(f"{path}: has no tensor {missing[0]}, which test_set.inputs names")
    lengths = {array.shape[0] if array.ndim else 0 for array in arrays.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise TestSetError(f"{path}: its tensors must have one entry a row, and at least one row")
    wanted = {value.name: value for value in rules.contract.inputs}
    for name, feed in rules.test_set.inputs.items():
        array, value = arrays[name], wanted[feed]
        shape = (None, *array.shape[1:])
        fits = len(shape) == len(value.shape) and all(b in (None, a) for a, b in zip(shape, value.shape, strict=True))
        if not fits or str(array.dtype) != value.type:
            raise TestSetError(f"{path}: {describe(name, str(array.dtype), shape)} does not fit the input {value}")
    inputs = {feed: np.ascontiguousarray(arrays.pop(name)) for name, feed in rules.test_set.inputs.items()}
    return Rows(inputs, arrays)


@dataclass(frozen=True, slots=True)
class Measuring:
    """What it takes to measure any number of models: a folder with main's code and rows."""

    folder: Path
    rules: Declaration

    def measure(self, model: Path) -> Measured | Refused:
        """The numbers of one model, or why there are none; a file of any content ends within the limits."""
        about = identity.model(model)
        try:
            return self._measure(model, about)
        except bounded.ChildRefused as refused:
            causes: dict[str, Literal["contract", "file", "limits", "answers"]]
            causes = {"contract": "contract", "file": "file", "answers": "answers"}
            return _refused(about, str(refused), causes.get(refused.cause, "limits"))
        except bounded.Stopped as stopped:
            return _refused(about, str(stopped), "limits")

    def _measure(self, model: Path, about: identity.Model) -> Measured | Refused:
        limits = self.rules.limits
        if about.size > limits.model_bytes:
            return _refused(about, f"the model has {about.size} bytes; {limits.model_bytes} are allowed", "file")
        with TemporaryDirectory(dir=self.folder) as scratch:
            # Nothing lies beside the model that it could refer to.
            place, answers, numbers = Path(scratch, "model"), Path(scratch, "answers"), Path(scratch, "numbers")
            place.mkdir()
            shutil.copyfile(model, place / "model.onnx")
            contract = self.rules.contract.model_dump_json()
            arguments = [str(place / "model.onnx"), contract, str(self.folder / "inputs"), str(answers)]
            bounded.run(PREDICT, arguments, Path(scratch), limits)
            code = self.rules.evaluator
            try:
                arguments = [code.module, str(answers), str(self.folder / "targets"), str(numbers)]
                sources = [self.folder / "code" / code.root]
                bounded.run(SCORE, arguments, Path(scratch), limits, sources)
                with numbers.open("rb") as stream:
                    measured = Measured(model=about, metrics=json.loads(stream.read(MOST_NUMBERS)))
                result.check(measured.metrics, self.rules)
            except bounded.Stopped as stopped:
                return _refused(about, f"main's evaluator cannot score its answers: {stopped}", "answers")
            except (OSError, ValueError):
                return _refused(about, "main's evaluator gave something else than finite numbers by name", "answers")
            except result.ResultError as error:
                return _refused(about, str(error), "answers")
            return measured


@contextmanager
def measuring(root: Path, rules: Declaration, rows: Rows) -> Iterator[Measuring]:
    """A place to measure. Raises `DeclarationError` where main lacks a file of its evaluator."""
    with TemporaryDirectory(prefix="evaluation-") as scratch:
        folder = Path(scratch)
        # A copy of the declared files alone: what the identity does not cover cannot be imported.
        for path in rules.evaluator.files:
            source, target = identity.declared(root, path), folder / "code" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        if not (folder / "code" / rules.evaluator.root).is_dir():
            raise DeclarationError(f"evaluator.root {rules.evaluator.root}: holds none of evaluator.files")
        save_file(rows.inputs, folder / "inputs")
        save_file(rows.targets, folder / "targets")
        yield Measuring(folder, rules)


def _refused(model: identity.Model, why: str, cause: Literal["contract", "file", "limits", "answers"]) -> Refused:
    plain = "".join(character if character.isprintable() else "?" for character in " ".join(why.split()))
    return Refused(model=model, refused=plain[:MOST_REASON] or "it was refused without a word", cause=cause)
