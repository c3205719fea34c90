"""To what a measurement belongs: a model's file, the code that measured, and the test set, each by its content."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.evaluation.declaration import Declaration, DeclarationError

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
CHUNK = 2**20
PLATFORM = Path(__file__).parent
"""This package measures too."""


class Model(BaseModel):
    """A model's file. DVC's lock names it by MD5; SHA-256 is what stands against a forger."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sha256: Sha256
    md5: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    size: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a measurement belongs to."""

    model: str
    evaluator: str
    test_set: str

    def key(self, prefix: str) -> str:
        """Where the measurement is kept below `prefix`; its folder holds what can be compared with it."""
        return "/".join([prefix.strip("/"), self.evaluator, self.test_set, f"{self.model}.json"])


def comparable(one: Identity, other: Identity) -> bool:
    """Whether two measurements say something about each other: the same code measured on the same rows."""
    return (one.evaluator, one.test_set) == (other.evaluator, other.test_set)


def model(path: Path) -> Model:
    """The identity of a model's file, read in pieces."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            sha256.update(piece)
            md5.update(piece)
            size += len(piece)
    return Model(sha256=sha256.hexdigest(), md5=md5.hexdigest(), size=size)


def evaluator(root: Path, declaration: Declaration) -> str:
    """The SHA-256 of all that decides a model's numbers: the project's files, its packages' lock, and this package.

    What only judges them (tolerances, limits, paths) is no part of it.

    Args:
        root: the checkout of main.

    Raises:
        DeclarationError: a file that the declaration names is missing, or is a link.
    """
    code = declaration.evaluator
    about = {
        "files": {path: _sha256(declared(root, path)) for path in sorted({*code.files, code.lock})},
        "platform": {path.name: _sha256(path) for path in sorted(PLATFORM.glob("*.py"))},
        "module": [code.root, code.module],
        "inputs": declaration.test_set.inputs,
        "contract": declaration.contract.model_dump(mode="json"),
        "metrics": sorted(declaration.metrics),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def declared(root: Path, path: str) -> Path:
    """A file that the declaration names. Raises `DeclarationError` where it is missing, or a link leads to it."""
    whole = root / path
    parents: Iterable[Path] = [whole, *(parent for parent in whole.parents if parent.is_relative_to(root))]
    if any(one.is_symlink() for one in parents if one != root) or not whole.is_file():
        raise DeclarationError(f"{whole}: is no file, but evaluation.yaml names it: restore it, or correct evaluator")
    return whole


def test_set(path: Path) -> str:
    """The SHA-256 of a test set's file."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
