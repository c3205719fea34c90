"""Who pushed what, and which heads hold the same change."""

from datetime import UTC, datetime

from mlplatform.pulls.model import Push, heads, on_record, pushes_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLATFORM = frozenset({"ml-bot", "ml-merge"})


def push(number: int, account: str, old: str, new: str, branch: str = "change") -> Push:
    return Push(number, account, branch, old, new, NOW)


MADE = push(1, "member", "", "a")
TRAINED = push(2, "ml-bot", "a", "b")
UPDATED = push(3, "ml-merge", "b", "c")


def test_pushes_are_those_since_the_branch_was_made_last() -> None:
    gone, again = push(4, "member", "", ""), push(5, "second", "", "d")
    everything = [UPDATED, MADE, push(9, "member", "", "a", "other"), TRAINED]
    assert pushes_of("change", everything) == (MADE, TRAINED, UPDATED)
    assert pushes_of("change", [*everything, gone, again]) == (again,)
    assert pushes_of("change", [*everything, gone]) == ()
    assert pushes_of("change", [TRAINED, UPDATED]) == ()


def test_a_push_that_is_not_on_record_leaves_a_gap() -> None:
    assert on_record((MADE, TRAINED, UPDATED), "c")
    assert not on_record((MADE, UPDATED), "c")
    assert not on_record((MADE, TRAINED), "c")
    assert not on_record((TRAINED, UPDATED), "c")
    assert not on_record((), "c")


def test_earlier_heads_are_those_before_the_platforms_own_pushes() -> None:
    by_member = push(4, "member", "c", "d")
    assert heads((MADE, TRAINED, UPDATED), "c", PLATFORM) == ("c", "b", "a")
    assert heads((MADE, TRAINED, UPDATED, by_member), "d", PLATFORM) == ("d",)
    assert heads((MADE, UPDATED), "c", PLATFORM) == ("c",)
    # A branch that the platform itself made has nothing before.
    assert heads((push(1, "ml-bot", "", "a"),), "a", PLATFORM) == ("a",)
