"""`evaluation.yaml` of a project: what its models take and give, how they are measured, and what main can judge.

Always main's own copy is read: a pull request's is only a change that an owner has to approve.
"""

import json
import math
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

FILE = "evaluation.yaml"
NAME = r"[A-Za-z0-9_.@ -]{1,60}"


class DeclarationError(Exception):
    """A declaration that cannot be used. The message names file, key and what would work."""


class Section(BaseModel):
    """A part of the file: no unknown key, no silent conversion of types, no change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _relative(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not path or path.startswith("/") or "\\" in path or "\0" in path or ".." in parts:
        raise ValueError("must be a path below the repository's root, without `..`")
    return path


RelativePath = Annotated[str, AfterValidator(_relative)]
Name = Annotated[str, Field(pattern=f"^{NAME}$")]


class Value(Section):
    """One input or output of a model."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    type: Annotated[str, Field(pattern="^[a-z0-9]+$")]
    """Its elements, as numpy names them: `uint8`, `float32` ..."""
    shape: tuple[Annotated[int, Field(ge=1)] | None, ...]
    """Lengths; `None` (`null`) where any length will do. The first is the number of rows, so it is always `None`."""

    @model_validator(mode="after")
    def _takes_rows(self) -> "Value":
        if not self.shape or self.shape[0] is not None:
            raise ValueError("shape: the first length must be null, for any number of rows")
        return self

    def __str__(self) -> str:
        return describe(self.name, self.type, self.shape)


def describe(name: str, type_: str, shape: tuple[int | None, ...] | None) -> str:
    """`pixels uint8[?, 8, 8]`; a shape of `None` is one that is not stated."""
    inner = "..." if shape is None else ", ".join("?" if length is None else str(length) for length in shape)
    return f"{name[:80]} {type_}[{inner}]"


class Contract(Section):
    """What a model takes and gives; the order does not matter."""

    inputs: Annotated[tuple[Value, ...], Field(min_length=1, max_length=32)]
    outputs: Annotated[tuple[Value, ...], Field(min_length=1, max_length=32)]


class Evaluator(Section):
    """The project's code that measures. It gets a model's answers, never the model."""

    module: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")]
    """Has `score(outputs, targets)`: arrays by name, one row an example, to numbers by the names of `metrics`."""
    root: RelativePath
    """The folder from which `module` is imported."""
    files: Annotated[tuple[RelativePath, ...], Field(min_length=1, max_length=200)]
    """Every file that `module` reads or imports; it sees no others."""
    lock: RelativePath
    """The lock file of the packages that it runs with."""


class TestSet(Section):
    """The rows on which every model is measured: a safetensors file whose tensors have one entry a row."""

    __test__ = False  # no class of tests

    path: RelativePath
    inputs: Annotated[dict[str, str], Field(min_length=1, max_length=32)]
    """The model's input by the name of the tensor that it gets; the other tensors are the targets."""
    share: Annotated[float, Field(gt=0, lt=1)]
    """Which part of all rows belongs to the test set, by `split.belongs`."""
    growth: Annotated[float, Field(ge=0, le=1)] = 0.1
    """How many new rows main takes by itself, as a part of those it has: more would outvote them."""


class Metric(Section):
    """What is believable and wanted of one number."""

    minimum: float = -math.inf
    maximum: float = math.inf
    """A number outside of these is no result."""
    better: Literal["higher", "lower"] = "higher"
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """How much worse than main it may be; `null` where the number is only shown."""
    limit: float | None = None
    """What a model has to reach where there is none to compare it with."""

    def worse_by(self, baseline: float, candidate: float) -> float:
        """How much worse the candidate is; negative where it is better."""
        change = candidate - baseline
        # Rounded, or 0.98 - 0.975 would be more than 0.005.
        return round(-change if self.better == "higher" else change, 9)

    def reaches_limit(self, value: float) -> bool:
        """Whether a value meets the absolute limit, if there is one."""
        if self.limit is None:
            return True
        return value >= self.limit if self.better == "higher" else value <= self.limit


class Limits(Section):
    """What measuring one model may take."""

    seconds: Annotated[float, Field(gt=0, le=3600)] = 120
    cpu_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    memory_bytes: Annotated[int, Field(ge=2**28, le=2**40)] = 4 * 2**30
    """Address space of the process, its programs and libraries included."""
    model_bytes: Annotated[int, Field(ge=1, le=2**31)] = 512 * 2**20
    test_set_bytes: Annotated[int, Field(ge=1, le=2**36)] = 2 * 2**30
    training_data_bytes: Annotated[int, Field(ge=1, le=2**36)] = 2**30
    """How much of the training data is looked at for rows of the test set."""
    answer_bytes: Annotated[int, Field(ge=1, le=2**36)] = 2**30


class Kind(StrEnum):
    """Why main cannot judge a change of a path."""

    CONTRACT = "contract"
    SERVICE = "service"
    EVALUATOR = "evaluator"
    GATE = "gate"
    TEST_SET = "test_set"
    UNKNOWN = "unknown"


class Paths(Section):
    """Which changes main judges alone, and which an owner has to approve.

    Patterns are of `fnmatch`, from the repository's root; `*` also spans folders. An owner's list wins, and a path of
    the project that neither names is an owner's too.
    """

    judged: tuple[str, ...]
    owner: dict[Literal["contract", "service", "evaluator", "gate", "test_set"], tuple[str, ...]] = {}
    parameters: tuple[str, ...] = ()
    """Sections of `params.yaml` that main judges alone."""


class Declaration(Section):
    """The whole file."""

    contract: Contract
    evaluator: Evaluator
    test_set: TestSet
    metrics: Annotated[dict[Name, Metric], Field(min_length=1, max_length=200)]
    paths: Paths
    training_data: tuple[RelativePath, ...] = ()
    """What the training reads: outputs of stages, or paths that `.dvc` files track. Its safetensors files have the
    tensors of `test_set.inputs`, and no row of the test set may be among them. What a `.dvc` file tracks and is not
    here may be read by stages alone that write one of these."""
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _fits(self) -> "Declaration":
        wanted = sorted(value.name for value in self.contract.inputs)
        if sorted(self.test_set.inputs.values()) != wanted:
            raise ValueError(f"test_set.inputs: must feed each input of contract once: {', '.join(wanted)}")
        if not any(metric.tolerance is not None for metric in self.metrics.values()):
            raise ValueError("metrics: one needs a tolerance, or nothing is ever judged")
        return self


def load(project: Path) -> Declaration:
    """The declaration in a project's folder. Raises `DeclarationError`."""
    source = project / FILE
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DeclarationError(f"{source}: cannot be read: {' '.join(str(error).split())[:300]}") from None
    return parse(content, str(source))


def parse(content: Any, source: str) -> Declaration:
    """Check what a declaration's file says. Raises `DeclarationError` with every problem."""
    try:
        # JSON's rules, so that lists stand for tuples, but nothing else is converted.
        return Declaration.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
        raise DeclarationError("; ".join(f"{source}: {problem}" for problem in problems)) from None
