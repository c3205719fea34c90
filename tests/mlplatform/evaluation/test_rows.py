"""A row is its content: its order, its file and its neighbours do not matter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import toy_project as toy
from mlplatform.evaluation.rows import Row, load, rows


def of(arrays: dict[str, Any]) -> list[Row]:
    return rows(arrays, ["images"])


def test_the_same_rows_in_another_order_or_file_are_the_same(tmp_path: Path) -> None:
    arrays = toy.rows(20)
    order = np.random.default_rng(1).permutation(20)
    save_file({name: np.ascontiguousarray(array[order]) for name, array in arrays.items()}, tmp_path / "set")

    assert set(load(tmp_path / "set", ["images"])) == set(of(arrays))
    assert of(arrays) == of({name: np.asfortranarray(array) for name, array in arrays.items()})


def test_the_target_is_part_of_the_row_but_not_of_its_input() -> None:
    one, other = toy.rows(4), toy.rows(4)
    other["labels"] = 1 - other["labels"]

    assert [row.input for row in of(one)] == [row.input for row in of(other)]
    assert not {row.whole for row in of(one)} & {row.whole for row in of(other)}


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((1, 4), np.int8),
        np.zeros((1, 2, 2), np.uint8),
        np.zeros((1, 2), np.uint16),
        np.array([[0, 0, 0, 1]], np.uint8),
    ],
)
def test_content_includes_type_and_shape(other: Any) -> None:
    labels = np.zeros(1, np.uint8)
    one = np.zeros((1, 4), np.uint8)

    assert of({"images": one, "labels": labels})[0].input != of({"images": other, "labels": labels})[0].input


def test_arrays_of_different_lengths_are_no_rows() -> None:
    with pytest.raises(ValueError, match="one entry a row"):
        of({"images": np.zeros((2, 4)), "labels": np.zeros(3)})
