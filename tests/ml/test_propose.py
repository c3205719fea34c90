"""The changes that the demo proposes pass the gate in any order, and the worse one fails it: trained here to see."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from digits import params, propose, train
from digits.prepare import Examples

TEXT = (Path(__file__).resolve().parents[2] / "ml" / "params.yaml").read_text()
MAIN: dict[str, Any] = yaml.safe_load(TEXT)


def accuracy(content: dict[str, Any], sets: tuple[Examples, Examples]) -> float:
    return train.train(*sets, params.parse(yaml.safe_dump(content), "params.yaml").train)[1][-1].test_accuracy


@pytest.fixture(scope="module")
def baseline(sets: tuple[Examples, Examples]) -> float:
    return accuracy(MAIN, sets)


def test_each_change_passes_against_every_other(sets: tuple[Examples, Examples], baseline: float) -> None:
    found = [accuracy({**MAIN, "train": {**MAIN["train"], **change}}, sets) for change in propose.GOOD]
    assert max(*found, baseline) - min(*found, baseline) <= MAIN["gate"]["tolerance"]


def test_the_worse_change_fails(sets: tuple[Examples, Examples], baseline: float) -> None:
    assert accuracy(propose.worse(MAIN), sets) < baseline - 10 * MAIN["gate"]["tolerance"]


def test_merged_one_after_the_other_all_are_proposed_and_none_is_main() -> None:
    main, seen = MAIN, []
    for _ in propose.GOOD:
        proposed = propose.propose(main)
        assert proposed != main
        assert {key: value for key, value in proposed.items() if key != "train"} == {
            key: value for key, value in MAIN.items() if key != "train"
        }
        seen.append(proposed)
        main = proposed
    assert len({yaml.safe_dump(content) for content in seen}) == len(propose.GOOD)
    assert propose.propose(main) != main


def test_what_was_tried_is_avoided_while_something_is_left() -> None:
    tried: list[dict[str, Any]] = []
    for _ in propose.GOOD:
        tried.append(propose.propose(MAIN, tried))
    assert len({yaml.safe_dump(content) for content in tried}) == len(propose.GOOD)
    assert propose.propose(MAIN, tried) == tried[0]


@pytest.mark.parametrize("content", [propose.propose(MAIN), propose.worse(MAIN)], ids=["good", "worse"])
def test_rewriting_keeps_all_but_the_numbers(content: dict[str, Any]) -> None:
    text = propose.rewrite(TEXT, content)
    assert yaml.safe_load(text) == content
    differing = [
        (before, after) for before, after in zip(TEXT.splitlines(), text.splitlines(), strict=True) if before != after
    ]
    changed = {key for key, value in content["train"].items() if value != MAIN["train"][key]}
    assert {before.split(":")[0].strip() for before, _ in differing} == changed


def test_rewriting_finds_the_key_in_its_own_section() -> None:
    text = "prepare:\n  # the split\n\n  seed: 1 # why\ntrain:\n  seed: 2\n"
    assert propose.rewrite(text, {"train": {"seed": 5}}) == text.replace("2", "5")
    assert propose.rewrite(text, {"prepare": {"seed": 5}}) == text.replace("seed: 1", "seed: 5")
    with pytest.raises(KeyError, match=r"train.epochs"):
        propose.rewrite(text, {"train": {"epochs": 5}})
