"""Whether a test set only grew, and whether training saw it."""

from typing import Any

import numpy as np
import pytest

import toy_project as toy
from mlplatform.evaluation.growth import faults, leaked
from mlplatform.evaluation.rows import Row, rows
from mlplatform.evaluation.split import belongs

SHARE = 0.3


def of(arrays: dict[str, Any]) -> list[Row]:
    return rows(arrays, ["images"])


def picked(arrays: dict[str, Any], index: Any) -> dict[str, Any]:
    return {name: array[index] for name, array in arrays.items()}


def joined(*sets: dict[str, Any]) -> dict[str, Any]:
    return {name: np.concatenate([one[name] for one in sets]) for name in sets[0]}


def sides(arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What main's rule takes for testing, and the rest."""
    testing = np.array([belongs(row.input, SHARE) for row in of(arrays)])
    return picked(arrays, testing), picked(arrays, ~testing)


# Main's test set was split by a seed long ago: the rule has no say over its rows.
OLD = toy.rows(40)
NEW, FOR_TRAINING = sides(toy.rows(100, seed=8))


def relabelled(arrays: dict[str, Any], count: int) -> dict[str, Any]:
    labels = arrays["labels"].copy()
    labels[:count] = 1 - labels[:count]
    return arrays | {"labels": labels}


def test_a_test_set_that_grew_by_main_s_rule_needs_no_owner() -> None:
    grown = joined(NEW, OLD)
    shuffled = picked(grown, np.random.default_rng(3).permutation(len(grown["labels"])))

    assert len(NEW["labels"]) > 10
    assert faults(of(OLD), of(OLD), SHARE) == []
    assert faults(of(OLD), of(grown), SHARE) == []
    assert faults(of(OLD), of(shuffled), SHARE) == []


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (picked(OLD, slice(3, None)), ["3 of main's 40 rows were dropped or changed"]),
        (joined(picked(OLD, slice(1, None)), NEW), ["1 of main's 40 rows were dropped or changed"]),
        (
            relabelled(OLD, 2),
            [
                "2 of main's 40 rows were dropped or changed",
                "2 rows show what a row of main's shows already, as copies or with other targets",
            ],
        ),
        (
            joined(OLD, picked(OLD, slice(0, 5))),
            ["5 rows show what a row of main's shows already, as copies or with other targets"],
        ),
        (
            joined(OLD, relabelled(picked(OLD, slice(0, 1)), 1)),
            ["1 rows show what a row of main's shows already, as copies or with other targets"],
        ),
        (joined(OLD, NEW, picked(NEW, slice(0, 2))), ["2 of the new rows show the same as another"]),
        (
            joined(OLD, NEW, picked(FOR_TRAINING, slice(0, 4))),
            [f"4 of the {len(NEW['labels']) + 4} new rows belong to the training data by main's rule"],
        ),
    ],
    ids=["dropped", "swapped", "relabelled", "weighted", "contradicted", "repeated", "chosen"],
)
def test_what_else_happened_to_it_is_told_to_an_owner(new: dict[str, Any], found: list[str]) -> None:
    assert faults(of(OLD), of(new), SHARE) == found


def test_a_row_that_main_has_twice_may_not_be_dropped_once() -> None:
    twice = joined(OLD, picked(OLD, slice(0, 1)))

    assert faults(of(twice), of(twice), SHARE) == []
    assert faults(of(twice), of(OLD), SHARE) == ["1 of main's 41 rows were dropped or changed"]


def test_a_changed_seed_moves_no_row() -> None:
    """The rule knows neither seed nor fraction of a pull request: any order of the raw data gives the same sides."""
    raw = toy.rows(200, seed=9)
    for seed in (20, 21):
        other = picked(raw, np.random.default_rng(seed).permutation(200))
        assert set(of(sides(other)[0])) == set(of(sides(raw)[0]))


def test_rows_of_the_test_set_in_the_training_data_are_counted() -> None:
    training = FOR_TRAINING

    assert leaked(of(OLD), of(training)) == 0
    assert leaked(of(OLD), of(joined(training, picked(OLD, slice(0, 3))))) == 3
    assert leaked(of(OLD), of(joined(training, relabelled(picked(OLD, slice(0, 3)), 3)))) == 3
