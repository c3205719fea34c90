"""The JSON that an evaluation leaves, and its strict reading.

It was written next to a model that may have taken over the process which measured it, so it is read as if anybody had
written it: known keys, finite numbers within what main declares, and of the files that were asked for.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlplatform.evaluation.declaration import Declaration, Name
from mlplatform.evaluation.identity import Identity, Model, Sha256, comparable

MOST_BYTES = 256 * 2**10
MOST_REASON = 500

Form = TypeVar("Form", bound=BaseModel)


class ResultError(Exception):
    """A result that must not be believed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Measured(_Part):
    """The numbers of a model."""

    model: Model
    metrics: Annotated[dict[Name, FiniteFloat], Field(min_length=1, max_length=200)]


class Refused(_Part):
    """A model that was not measured, and why, in one sentence."""

    model: Model
    refused: Annotated[str, Field(min_length=1, max_length=MOST_REASON)]
    cause: Literal["contract", "file", "limits", "answers"]
    """`contract`: it is another kind of model than main's, which an owner may want; the others are faults."""


class Evaluation(_Part):
    """What one run measured: the candidate, and main's model (`None` while there is none) on the same rows."""

    version: Literal[1] = 1
    evaluator: Sha256
    test_set: Sha256
    rows: Annotated[int, Field(ge=1)]
    candidate: Measured | Refused
    baseline: Measured | Refused | None

    def identity(self, side: Measured | Refused) -> Identity:
        """What the numbers of one side belong to."""
        return Identity(side.model.sha256, self.evaluator, self.test_set)


def write(evaluation: Evaluation) -> bytes:
    """The evaluation as JSON."""
    return evaluation.model_dump_json(indent=2).encode() + b"\n"


def agreed(text: bytes, kind: type[Form], name: str) -> Form:
    """Read a document of an agreed form, which its `name` stands for in a message. Raises `ResultError`."""
    if len(text) > MOST_BYTES:
        raise ResultError(f"the {name} has {len(text)} bytes; {MOST_BYTES} are allowed")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:200]
        raise ResultError(f"the {name} is not in the agreed form: {where or 'JSON'}: {first['msg'][:200]}") from None


def parse(text: bytes, declaration: Declaration) -> Evaluation:
    """Read what an evaluation left. Raises `ResultError` unless every number is one that main declares and believes."""
    evaluation = agreed(text, Evaluation, "result")
    for side in (evaluation.candidate, evaluation.baseline):
        if isinstance(side, Measured):
            check(side.metrics, declaration)
    return evaluation


def check(metrics: dict[str, float], declaration: Declaration) -> None:
    """Refuse numbers other than those that main declares, or outside of their ranges. Raises `ResultError`."""
    for name in sorted(metrics.keys() ^ declaration.metrics.keys()):
        fault = "was not measured" if name in declaration.metrics else "is not declared"
        raise ResultError(f"the metric {name} {fault}: the evaluator and metrics of evaluation.yaml must agree")
    for name, value in metrics.items():
        metric = declaration.metrics[name]
        if not metric.minimum <= value <= metric.maximum:
            raise ResultError(f"the metric {name} is {value:g}, outside of {metric.minimum:g} to {metric.maximum:g}")


def expect(evaluation: Evaluation, md5: str, baseline_md5: str | None, evaluator: str, test_set: str) -> None:
    """Refuse an evaluation of other files than these. Raises `ResultError`.

    Args:
        evaluation: what was read.
        md5: the model that the candidate's lock names.
        baseline_md5: the model that main's lock names, `None` where there is none.
        evaluator: main's, by `identity.evaluator`.
        test_set: main's, by `identity.test_set`.
    """
    measured = evaluation.baseline.model.md5 if evaluation.baseline else None
    for what, found, wanted in (
        ("the candidate's model", evaluation.candidate.model.md5, md5),
        ("main's model", measured, baseline_md5),
        ("the evaluator", evaluation.evaluator, evaluator),
        ("the test set", evaluation.test_set, test_set),
    ):
        if found != wanted:
            raise ResultError(f"{what} of the result is {found or 'none'}, not {wanted or 'none'}")


def beside(evaluation: Evaluation, kept: Evaluation) -> Evaluation:
    """A candidate's evaluation beside main's model as another run measured it. Raises `ResultError`.

    Args:
        evaluation: of the candidate; its own baseline, if any, is replaced.
        kept: an evaluation whose candidate is now main's model.
    """
    one, other = evaluation.identity(evaluation.candidate), kept.identity(kept.candidate)
    if not comparable(one, other) or evaluation.rows != kept.rows:
        raise ResultError("main's model was measured by other code or on other rows: measure it anew")
    return evaluation.model_copy(update={"baseline": kept.candidate})
