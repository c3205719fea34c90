"""What of a bucket's versions is old enough to be hidden, and what has been hidden for long enough to go for good."""

from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.objects.prune import DAY, Due, Version, due

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AGE = 30 * DAY


def version(days: float, key: str = "a", *, latest: bool = True, marker: bool = False) -> Version:
    return Version(key, f"{key}-{days}", NOW - timedelta(days=days), latest, marker)


def judged(*versions: Version, keeps: str = "") -> Due:
    return due(versions, lambda key: key == keeps, AGE, NOW)


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
