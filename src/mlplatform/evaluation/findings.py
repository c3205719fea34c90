"""What main's code found by comparing rows: whether a test set only grew, and what of it the training data show.

Like a measurement, a finding belongs to what was compared and to the code that did, and is read strictly.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.evaluation.identity import Sha256
from mlplatform.evaluation.result import ResultError, agreed

MOST_FILES = 1000
"""Files of the training data that are looked at."""
MOST_NAME = 200
MOST_SENTENCE = 300
MOST_UNREAD = 20
"""Files of which it is told why they cannot be compared."""
Sentence = Annotated[str, Field(min_length=1, max_length=MOST_SENTENCE)]
FileName = Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
Rows = Annotated[int, Field(ge=1)]


class _Finding(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    evaluator: Sha256
    test_set: Sha256
    """Main's."""


class Growth(_Finding):
    """What became of main's test set in a pull request; no fault (`growth.faults`) where it grew, by however much."""

    new: Sha256
    rows: Annotated[int, Field(ge=0)]
    """Of main's test set; 0 where nothing could be compared, as is `added`."""
    added: Annotated[int, Field(ge=0)]
    """Rows that show what none of main's does."""
    faults: Annotated[list[Sentence], Field(max_length=20)]

    def against(self, most: float) -> list[str]:
        """Why an owner has to approve it, where main takes that part of its own rows as new ones by itself."""
        # Rounded, or 0.29 of 100 would be 28.
        taken = math.floor(round(most * self.rows, 9))
        if self.added <= taken:
            return self.faults
        told = (
            f"{self.added} rows are new, of which main takes {taken} by itself beside its {self.rows} "
            f"(test_set.growth: {most:g})"
        )
        return [*self.faults, told]


class Leaks(_Finding):
    """How many rows of the test set each file of the training data shows, and which file main cannot compare, and
    why."""

    data: Sha256
    """By `data`."""
    rows: Annotated[dict[FileName, Rows], Field(max_length=MOST_FILES)]
    unread: Annotated[dict[FileName, Sentence], Field(max_length=MOST_UNREAD)]


Finding = TypeVar("Finding", Growth, Leaks)


def growth_key(prefix: str, evaluator: str, test_set: str, new: str) -> str:
    """Where a `Growth` is kept, beside the measurements on main's test set."""
    return f"{prefix.strip('/')}/{evaluator}/{test_set}/grown-{new}.json"


def leaks_key(prefix: str, evaluator: str, test_set: str, data: str) -> str:
    """Where `Leaks` are kept, beside the measurements on main's test set."""
    return f"{prefix.strip('/')}/{evaluator}/{test_set}/trained-on-{data}.json"


def data(objects: Mapping[str, str], most_bytes: int, new_test_set: str | None) -> str:
    """What leaks belong to: the objects (MD5 by path), how much of them is read, and the test set that a pull request
    brings, if it does.

    DVC's MD5 will do here: whoever could make two data sets of one MD5 could as well train on what no lock names.
    """
    about = {"objects": dict(objects), "bytes": most_bytes, "test_set": new_test_set}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def is_name(path: str) -> bool:
    """Whether a file is told by this name."""
    return path.isprintable() and 0 < len(path) <= MOST_NAME


def write(finding: Growth | Leaks) -> bytes:
    """The finding as JSON."""
    return finding.model_dump_json(indent=2).encode() + b"\n"


def parse(text: bytes, kind: type[Finding], expected: Mapping[str, str]) -> Finding:
    """Read a finding. Raises `ResultError` unless it has the agreed form and is about what was `expected`, by field."""
    found = agreed(text, kind, "finding")
    for name, value in expected.items():
        if getattr(found, name) != value:
            raise ResultError(f"the finding that is kept is not about this {name.replace('_', ' ')}")
    return found
