"""Which sections of a parameter file change."""

import pytest

from mlplatform.pulls.sections import MOST_BYTES, changed

WATCHED = ("ml/params.yaml: gate", "ml/params.yaml: evaluate", "other.yaml: gate")
BEFORE = b"train: {epochs: 8}\ngate: {tolerance: 0.005}\n"
ALL = WATCHED[:2]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, ()),
        (b"# a comment\ngate:\n  tolerance: 0.005\ntrain: {epochs: 9}\n", ()),
        (BEFORE.replace(b"0.005", b"0.5"), WATCHED[:1]),
        (BEFORE.replace(b"0.005", b"'0.005'"), WATCHED[:1]),
        (b"train: {epochs: 8}\n", WATCHED[:1]),
        (BEFORE + b"evaluate: {parity_tolerance: 1}\n", WATCHED[1:2]),
        (b"gate: [", ALL),
        (b"[]", ALL),
        (None, ALL),
        (BEFORE + b"x: &x [1]\ny: [*x, *x]\n", ALL),
        (BEFORE + b"#" * MOST_BYTES, ALL),
        (b"a: " + b"[" * 5000, ALL),
    ],
)
def test_changed(after: bytes | None, expected: tuple[str, ...]) -> None:
    assert changed("ml/params.yaml", BEFORE, after, WATCHED) == expected
