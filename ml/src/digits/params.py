"""The parameters of the pipeline (`ml/params.yaml`), checked before any stage uses them.

Each stage of `dvc.yaml` has a section of its own name. Run as a program it checks a file:
`python -m digits.params [FILE]`.
"""

import argparse
import difflib
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from digits.errors import UserError, run

PARAMS_FILE = Path("params.yaml")


class Section(BaseModel):
    """A group of parameters: no unknown key, no silent conversion of types, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Prepare(Section):
    """How the images that are not main's test set become a training and a validation set."""

    seed: Annotated[int, Field(ge=0)]
    """Chooses which images are for validation."""
    validation_fraction: Annotated[float, Field(ge=0.05, le=0.5)]
    """Share of every class that is kept for validation."""


class Train(Section):
    """How the network is built and trained."""

    seed: Annotated[int, Field(ge=0)]
    """Fixes the initial weights, the order of the images, their shifts and the dropout."""
    epochs: Annotated[int, Field(ge=1, le=500)]
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    """Peak of the one-cycle schedule."""
    channels: Annotated[int, Field(ge=1, le=512)]
    """Filters of the first convolution; the second has twice as many."""
    dropout: Annotated[float, Field(ge=0, lt=1)]
    shift: Annotated[int, Field(ge=0, le=3)]
    """Augmentation: each image moves by up to this many pixels in each direction."""


class Evaluate(Section):
    """What the exported model must satisfy."""

    parity_tolerance: Annotated[float, Field(gt=0, le=0.1)]
    """Largest absolute difference allowed between the logits of torch and of ONNX Runtime."""


class Gate(Section):
    """What a pull request may cost where main has no `evaluation.yaml`, which else says it."""

    tolerance: Annotated[float, Field(ge=0, le=1)]
    """Largest fall in accuracy against main, as a fraction."""


class Params(Section):
    """The whole file."""

    prepare: Prepare
    train: Train
    evaluate: Evaluate
    gate: Gate | None = None


def load(path: Path = PARAMS_FILE) -> Params:
    """Read and check a parameter file.

    Raises:
        UserError: the file is missing, is not YAML, or has an unknown, missing or mistyped key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); restore it with `git checkout -- {path}`") from None
    return parse(text, path)


def parse(text: str, source: Path | str) -> Params:
    """Check the text of a parameter file; `source` is the name that messages give it. Raises `UserError`."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{source}: not valid YAML: {reason}; correct the line it names") from None
    if not isinstance(content, dict):
        raise UserError(f"{source}: must be a mapping with the keys {', '.join(Params.model_fields)}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError("; ".join(f"{source}: {_explain(problem)}" for problem in error.errors())) from None


def _explain(problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        close = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"remove it, or use one of {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{key}: missing key; add it"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    value = problem["input"]
    hint = ""
    if isinstance(value, str):
        hint = "; write the number without quotes, and 1e-3 as 0.001 or 1.0e-3"
    return f"{key}: {message}, but it is {value!r}{hint}"


def _keys_at(path: list[str]) -> list[str]:
    section: type[BaseModel] = Params
    for part in path:
        annotation = section.model_fields[part].annotation
        # Of what may be missing, the first is what it is where it is not.
        while get_args(annotation):
            annotation = get_args(annotation)[0]
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        section = annotation
    return list(section.model_fields)


def main() -> None:
    parser = argparse.ArgumentParser(description="Check a parameter file of the pipeline.")
    parser.add_argument("file", type=Path, nargs="?", default=PARAMS_FILE)
    path = parser.parse_args().file
    load(path)
    print(f"{path}: valid")


if __name__ == "__main__":
    run(main)
