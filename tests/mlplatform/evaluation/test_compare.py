"""Rows of files that anybody may have made, compared in a process with limits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import toy_project as toy
from mlplatform.evaluation import bounded
from mlplatform.evaluation.compare import grown, leaks
from mlplatform.evaluation.declaration import Limits

INPUTS = ["images"]
TEST = toy.rows(40)
OTHER = toy.rows(100, seed=8)


def part(arrays: dict[str, Any], index: slice) -> dict[str, Any]:
    # safetensors takes an array's memory as it lies.
    return {name: np.ascontiguousarray(array[index]) for name, array in arrays.items()}


def joined(*sets: dict[str, Any]) -> dict[str, Any]:
    return {name: np.concatenate([one[name] for one in sets]) for name in sets[0]}


@pytest.fixture
def test_set(tmp_path: Path) -> Path:
    save_file(TEST, tmp_path / "test")
    return tmp_path / "test"


def written(folder: Path, arrays: dict[str, Any]) -> Path:
    save_file(arrays, folder / "given")
    return folder / "given"


def test_the_same_rows_are_no_change_and_dropped_ones_are_told(test_set: Path, tmp_path: Path) -> None:
    shuffled = part(TEST, slice(None, None, -1))

    assert grown(test_set, written(tmp_path, shuffled), INPUTS, 0.3) == ([], 40, 0)
    assert grown(test_set, written(tmp_path, part(TEST, slice(30))), INPUTS, 0.3) == (
        ["10 of main's 40 rows were dropped or changed"],
        40,
        0,
    )


def test_c10_new_rows_are_counted_whatever_else_they_are(test_set: Path, tmp_path: Path) -> None:
    faults, rows, added = grown(test_set, written(tmp_path, joined(TEST, OTHER, part(TEST, slice(3)))), INPUTS, 0.3)

    assert (rows, added) == (40, 100)
    assert len(faults) == 2


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"labels": TEST["labels"]}, "it has no tensor images"),
        ({"images": TEST["images"], "labels": TEST["labels"][:3]}, "it does not have one entry a row in each tensor"),
        ({"images": TEST["images"], "labels": np.float32(1)}, "it does not have one entry a row in each tensor"),
        (TEST | {"weights": TEST["labels"]}, "40 of main's 40 rows were dropped or changed"),
        (TEST | {"images": TEST["images"].astype(np.float32)}, "40 of main's 40 rows were dropped or changed"),
    ],
    ids=["no inputs", "uneven", "a number", "another tensor", "another type"],
)
def test_another_kind_of_test_set_has_not_grown(
    test_set: Path, tmp_path: Path, arrays: dict[str, Any], fault: str
) -> None:
    given = {name: np.asarray(array) for name, array in arrays.items()}

    assert grown(test_set, written(tmp_path, given), INPUTS, 0.3)[0][0] == fault


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff" * 100])
def test_what_is_no_test_set_has_not_grown(test_set: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "given").write_bytes(content)

    assert grown(test_set, tmp_path / "given", INPUTS, 0.3) == (["it cannot be read as safetensors"], 0, 0)


def test_rows_of_the_test_set_are_found_in_each_file_whatever_their_targets(test_set: Path, tmp_path: Path) -> None:
    some = part(TEST, slice(3))
    for name, arrays in {
        "clean": OTHER,
        "leaking": joined(OTHER, some),
        "relabelled": joined(OTHER, some | {"labels": 1 - some["labels"]}),
        "bare": {"images": some["images"]},
    }.items():
        save_file(arrays, tmp_path / name)
    files = {name: tmp_path / name for name in ("clean", "leaking", "relabelled", "bare")}

    assert leaks([test_set], files, INPUTS) == ({"leaking": 3, "relabelled": 3, "bare": 3}, {})


def test_rows_of_a_new_test_set_count_and_a_row_of_both_counts_once(test_set: Path, tmp_path: Path) -> None:
    save_file(joined(TEST, part(OTHER, slice(5))), tmp_path / "new")
    training = written(tmp_path, joined(part(TEST, slice(2)), part(OTHER, slice(4, 50))))

    assert leaks([test_set], {"t": training}, INPUTS) == ({"t": 2}, {})
    assert leaks([test_set, tmp_path / "new"], {"t": training}, INPUTS) == ({"t": 3}, {})


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"labels": OTHER["labels"]}, "has no tensor images"),
        (
            {"images": OTHER["images"].astype(np.float32)},
            "holds images float32[?, 4], where the test set holds images uint8[?, 4]",
        ),
        (
            {"images": OTHER["images"].reshape(-1, 2, 2)},
            "holds images uint8[?, 2, 2], where the test set holds images uint8[?, 4]",
        ),
    ],
)
def test_rows_of_another_form_are_not_called_clean(
    test_set: Path, tmp_path: Path, arrays: dict[str, Any], why: str
) -> None:
    assert leaks([test_set], {"t": written(tmp_path, arrays)}, INPUTS) == ({}, {"t": why})


def test_as_a_program_it_leaves_what_it_found(test_set: Path, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(test_set.read_bytes())
    plan = {"tests": [str(test_set)], "files": {"t": str(tmp_path / "t")}, "inputs": INPUTS}
    (tmp_path / "plan").write_text(json.dumps(plan))

    bounded.run("mlplatform.evaluation.compare", ["leaks", "plan", "out"], tmp_path, Limits())

    assert json.loads((tmp_path / "out").read_text()) == [{"t": 40}, {}]
