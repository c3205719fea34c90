"""Which rows are for testing depends on nothing but the row."""

import hashlib

import pytest

from mlplatform.evaluation.split import belongs

ROWS = [hashlib.sha256(str(number).encode()).digest() for number in range(5000)]


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_the_share_is_about_as_large_as_asked(share: float) -> None:
    assert abs(sum(belongs(row, share) for row in ROWS) / len(ROWS) - share) < 0.02


def test_a_larger_share_keeps_every_row_of_a_smaller_one() -> None:
    small, large = ({row for row in ROWS if belongs(row, share)} for share in (0.2, 0.3))

    assert small < large


def test_the_rule_never_changes() -> None:
    """Another rule would move rows of every project between its sets."""
    assert "".join("01"[belongs(row, 0.3)] for row in ROWS[:40]) == "1000101000001101110010011001111100000010"
