"""Rows of a data set by their content, whatever their order and whatever file they lie in."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file


@dataclass(frozen=True, slots=True)
class Row:
    """The hashes of one row: of what a model is shown, and of that with what it should answer."""

    input: bytes
    whole: bytes


def rows(arrays: Mapping[str, Any], inputs: Sequence[str]) -> list[Row]:
    """The rows of arrays that have one entry a row; `inputs` names those that a model is shown."""
    count = {len(array) for array in arrays.values()}
    if len(count) != 1:
        raise ValueError("every array must have one entry a row")
    shown = _hashes(arrays, sorted(inputs), count.pop())
    others = _hashes(arrays, sorted(arrays.keys() - set(inputs)), len(shown))
    return [Row(one, hashlib.sha256(one + other).digest()) for one, other in zip(shown, others, strict=True)]


def load(path: Path, inputs: Sequence[str]) -> list[Row]:
    """The rows of a safetensors file."""
    return rows(load_file(path), inputs)


def _hashes(arrays: Mapping[str, Any], names: Sequence[str], count: int) -> list[bytes]:
    sums = [hashlib.sha256() for _ in range(count)]
    for name in names:
        array = np.ascontiguousarray(arrays[name])
        # Type and shape belong to the content: the same bytes can be other numbers.
        about = f"{name} {array.dtype.str} {array.shape[1:]}\n".encode()
        for sum_, entry in zip(sums, array, strict=True):
            sum_.update(about + entry.tobytes())
    return [sum_.digest() for sum_ in sums]
