"""What of a bucket's versions is hidden, by age and by size, and what was hidden for long enough to go for good."""

from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.objects.prune import MOST_REPLACED, Due, Version, due, left_due
from mlplatform.retention import DAY, Limit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LIMIT = Limit(30 * DAY, 100)


def version(days: float, key: str = "a", *, latest: bool = True, marker: bool = False, size: int = 1) -> Version:
    return Version(key, f"{key}-{days}", NOW - timedelta(days=days), latest, marker, 0 if marker else size)


def judged(*versions: Version, keeps: str = "") -> Due:
    return due(versions, lambda key: key == keeps, LIMIT, NOW)


def left(*versions: Version, keeps: str = "") -> list[Version]:
    found = left_due(versions, lambda key: key == keeps, LIMIT, NOW)
    assert not found.hidden, "nothing that a run left needs a second step"
    return found.removed


@pytest.mark.parametrize(("days", "hidden"), [(29, []), (31, ["a"])])
def test_d17_an_object_is_hidden_by_age(days: int, hidden: list[str]) -> None:
    assert judged(version(days)) == Due(hidden, [])


def test_d17_a_version_goes_as_long_after_it_was_replaced_and_not_before() -> None:
    old, current = version(90, latest=False), version(29)
    assert judged(old, current) == Due([], [])
    current = version(31)
    assert judged(old, current) == Due(["a"], [old])


def test_d17_what_was_hidden_can_be_had_again_until_it_was_hidden_for_as_long() -> None:
    old = version(90, latest=False)
    assert judged(old, version(29, marker=True)) == Due([], [])
    marker = version(31, marker=True)
    assert judged(old, marker) == Due([], [old, marker]), "the marker last, or the store would show the object again"


def test_d17_a_marker_stays_while_it_hides_something() -> None:
    """The marker is old, and so is what was put in between, but not what was replaced last."""
    first, again = version(90, latest=False), version(10, latest=False)
    marker = version(5, marker=True)
    assert judged(marker, first, again) == Due([], [])
    assert judged(version(31, marker=True)) == Due([], [version(31, marker=True)])


def test_d17_what_is_named_keeps_its_old_versions_too() -> None:
    """A writer may have replaced the right content, which `scripts/repair-data` then puts back."""
    versions = [version(90, latest=False), version(80, latest=False, marker=True), version(70)]
    assert judged(*versions, keeps="a") == Due([], [])
    assert judged(*versions, version(70, "b"), keeps="a") == Due(["b"], [])
    assert len(judged(*versions, keeps="b").removed) == 2


def test_versions_of_one_second_are_told_apart_by_which_is_the_latest() -> None:
    written, marker = version(31, latest=False), version(31, marker=True)
    for order in ([written, marker], [marker, written]):
        assert judged(*order) == Due([], [written, marker])


def test_a_key_whose_latest_version_was_not_listed_is_left_alone() -> None:
    assert judged(version(90, latest=False)) == Due([], [])
    assert judged(version(90, latest=False, marker=True)) == Due([], [])


def test_d17_too_many_objects_are_hidden_the_oldest_first_and_what_is_named_does_not_count() -> None:
    named = version(29, "named", size=500)
    found = [version(5, "b", size=60), version(20, "c", size=30), version(9, "d", size=30), version(0.5, "e", size=20)]
    assert judged(named, *found, keeps="named") == Due(["c", "d"], [])


def test_d17_too_much_that_is_hidden_or_replaced_can_still_be_had_again_for_as_long() -> None:
    """Or whoever fills the store would take the time from others in which they may miss something."""
    hidden = [version(40, "a", latest=False, size=5000), version(29, "a", marker=True)]
    replaced = [version(40, "b", latest=False, size=5000), version(29, "b")]
    assert judged(*hidden, *replaced) == Due([], [])


def test_d17_what_a_run_left_goes_by_age_in_one_step_and_not_while_its_pull_request_is_open() -> None:
    old, young = version(31), version(30, "b")
    assert left(old, young) == [old]
    assert left(old, young, keeps="a") == []


def test_d17_too_much_that_runs_left_goes_the_oldest_first() -> None:
    found = [version(2, "a", size=60), version(9, "b", size=60), version(0.9, "c", size=30)]
    assert left(*found) == [found[1]]
    assert left(*found, version(0.1, "d", size=300)) == [found[1], found[0]], "what is not a day old stays, and counts"
    assert left(*found, keeps="b") == [], "what an open pull request has does not count"


def test_d17_what_a_run_replaced_goes_a_day_later_but_what_is_there_now_stays_while_it_is_wanted() -> None:
    first, second, third = version(9, latest=False), version(1.1, latest=False), version(0.9)
    for keeps in ("", "a"):
        assert left(first, second, third, keeps=keeps) == [first]


def test_d17_what_a_run_replaced_counts_until_it_goes() -> None:
    other = version(2, "b", size=50)
    replaced = [version(0.5, latest=False, size=60), version(0.1, size=60)]
    assert left(other) == []
    assert left(other, *replaced, keeps="a") == [other]


def test_d17_a_run_that_writes_its_object_without_end_fills_no_disk() -> None:
    """Its address is valid for two days, and takes 5 GiB as often as it is used."""
    many = [version(number / 1000, latest=number == 0, size=5 * 2**30) for number in range(50)]
    for keeps in ("", "a"):
        assert left(*many, keeps=keeps) == many[:MOST_REPLACED:-1], "the oldest first"


def test_d17_what_was_hidden_of_a_run_goes_a_day_later_with_its_marker() -> None:
    old = version(9, latest=False)
    assert left(old, version(0.9, marker=True)) == []
    marker = version(1.1, marker=True)
    for keeps in ("", "a"):
        assert left(old, marker, keeps=keeps) == [old, marker], "the marker last, or the store would show it again"


def test_what_a_run_left_is_left_alone_where_its_latest_version_was_not_listed() -> None:
    assert left(version(90, latest=False)) == []
