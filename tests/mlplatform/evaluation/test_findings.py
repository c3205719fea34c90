"""What is kept of a comparison is read as if anybody had written it."""

import pytest

from mlplatform.evaluation import findings
from mlplatform.evaluation.findings import MOST_NAME, Growth, Leaks
from mlplatform.evaluation.result import ResultError

A, B, C = "a" * 64, "b" * 64, "c" * 64
GROWTH = Growth(evaluator=A, test_set=B, new=C, rows=40, added=5, faults=["3 rows were dropped"])
LEAKS = Leaks(evaluator=A, test_set=B, data=C, rows={"ml/x.safetensors": 3}, unread={})


def test_a_finding_comes_back_as_it_was_written() -> None:
    expected = {"evaluator": A, "test_set": B}

    assert findings.parse(findings.write(GROWTH), Growth, {**expected, "new": C}) == GROWTH
    assert findings.parse(findings.write(LEAKS), Leaks, {**expected, "data": C}) == LEAKS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"faults"', b'"fault"', "the finding is not in the agreed form"),
        (b'["3 rows were dropped"]', b"[]}", "the finding is not in the agreed form: JSON"),
        (b'"added": 5', b'"added": -5', "the finding is not in the agreed form: added"),
        (b'["3 rows were dropped"]', b"null", "the finding is not in the agreed form: faults"),
        (b"{", b'{"more": 1,', "the finding is not in the agreed form: more"),
        (b"c" * 64, b"d" * 64, "the finding that is kept is not about this new"),
        (b"b" * 64, b"d" * 64, "the finding that is kept is not about this test set"),
        (b"3 rows", b"3" * 300_000, "262144 are allowed"),
    ],
)
def test_what_is_no_finding_about_this_is_not_believed(old: bytes, new: bytes, message: str) -> None:
    text = (
        findings.write(GROWTH).replace(b"\n", b"").replace(b'[    "3 rows were dropped"  ]', b'["3 rows were dropped"]')
    )
    assert old in text

    with pytest.raises(ResultError, match=message):
        findings.parse(text.replace(old, new, 1), Growth, {"evaluator": A, "test_set": B, "new": C})


@pytest.mark.parametrize(
    ("rows", "added", "most", "taken"),
    [(40, 4, 0.1, None), (40, 5, 0.1, 4), (100, 29, 0.29, None), (40, 0, 0, None), (40, 1, 0, 0), (9, 1, 0.1, 0)],
)
def test_c10_more_new_rows_than_main_takes_by_itself_are_an_owners(
    rows: int, added: int, most: float, taken: int | None
) -> None:
    found = Growth(evaluator=A, test_set=B, new=C, rows=rows, added=added, faults=[])
    told = f"{added} rows are new, of which main takes {taken} by itself beside its {rows} (test_set.growth: {most:g})"

    assert found.against(most) == ([] if taken is None else [told])


def test_c10_of_a_test_set_that_was_changed_too_both_is_told() -> None:
    assert GROWTH.against(0.125) == ["3 rows were dropped"]
    assert [text[:4] for text in GROWTH.against(0.1)] == ["3 ro", "5 ro"]


def test_leaks_belong_to_all_that_was_compared() -> None:
    objects = {"ml/one": "1" * 32, "ml/two": "2" * 32}
    own = findings.data(objects, 100, None)

    assert findings.data(dict(reversed(objects.items())), 100, None) == own
    others = [findings.data(objects, 99, None), findings.data(objects, 100, C)]
    others += [findings.data(objects | {"ml/two": "3" * 32}, 100, None), findings.data({"ml/one": "1" * 32}, 100, None)]
    assert len({own, *others}) == 5


def test_a_finding_lies_beside_the_measurements_and_takes_no_models_place() -> None:
    assert findings.growth_key("measurements", A, B, C) == f"measurements/{A}/{B}/grown-{C}.json"
    assert findings.leaks_key("measurements", A, B, C) == f"measurements/{A}/{B}/trained-on-{C}.json"


@pytest.mark.parametrize("name", ["", "x" * (MOST_NAME + 1), "a\nb", "a\x1b[31mb"])
def test_a_name_that_nobody_can_read_is_told_by_none(name: str) -> None:
    assert not findings.is_name(name)
    assert findings.is_name("ml/data/prepared/train.safetensors")
