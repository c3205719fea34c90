"""What of all that is unused goes: by age, or sooner by size."""

from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.retention import DAY, Limit, Unused, due

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def unused(days: float, size: int = 1) -> Unused[float]:
    return Unused(days, size, NOW - timedelta(days=days))


def gone(*found: Unused[float], size: int = 100) -> list[float]:
    return [one.what for one in due(found, Limit(30 * DAY, size), NOW)]


@pytest.mark.parametrize(("days", "expected"), [(30, []), (30.1, [30.1])])
def test_d17_what_is_older_than_the_age_goes_however_little_there_is(days: float, expected: list[float]) -> None:
    assert gone(unused(days)) == expected


def test_d17_the_oldest_go_first_until_what_is_left_fits() -> None:
    found = unused(3, 40), unused(20, 50), unused(10, 30), unused(5, 20)
    assert gone(*found, size=140) == []
    assert gone(*found, size=139) == [20]
    assert gone(*found, size=60) == [20, 10]
    assert gone(*found, size=59) == [20, 10, 5]


def test_d17_what_goes_by_age_makes_room_for_the_rest() -> None:
    assert gone(unused(31, 90), unused(20, 60), unused(10, 40)) == [31]


def test_d17_nothing_goes_before_it_is_a_day_old() -> None:
    """What is younger counts, so what is older goes in its place."""
    assert gone(unused(1, 1000), unused(0.5, 1000)) == []
    assert gone(unused(1.1, 1), unused(0.5, 1000)) == [1.1]
    assert [one.what for one in due([unused(0.9), unused(1.1)], Limit(timedelta(0), 0), NOW)] == [1.1]


def test_d17_what_may_lie_longer_stays_as_long() -> None:
    limit = Limit(30 * DAY, 0, least=7 * DAY)
    assert [one.what for one in due([unused(6.9), unused(7.1)], limit, NOW)] == [7.1]


def test_d17_a_size_of_nothing_keeps_the_last_day() -> None:
    assert gone(unused(9), unused(2), unused(1), size=0) == [9, 2]
