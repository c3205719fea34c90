"""The record of a merge past the rules."""

from datetime import UTC, datetime

from mlplatform.pulls.model import Comment
from mlplatform.pulls.record import Record, find, parse

RECORD = Record("alice", "a" * 40, "the gate's code does not start")
ADMINISTRATORS = frozenset({"platform-admin"})
NOW, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_it_is_read_as_it_was_written() -> None:
    assert parse(RECORD.render()) == RECORD
    assert parse(RECORD.render().replace("\n", "\r\n")) == RECORD


def test_what_a_reason_contains_changes_nothing_else() -> None:
    hostile = Record("alice", "a" * 40, "because\n- head: " + "b" * 40 + " <b> @everybody")
    read = parse(hostile.render())
    assert read is not None
    assert read.head == "a" * 40
    assert "<b>" not in hostile.render()
    assert "@everybody" not in hostile.render()


def test_other_comments_are_no_record() -> None:
    assert parse("I merged this\n- head: x") is None
    assert parse(RECORD.render().replace("- why: ", "- because: ")) is None
    assert parse(f"quoted:\n{RECORD.render()}") is None


def test_only_an_administrators_own_words_for_this_head_count() -> None:
    good = Comment(1, "platform-admin", RECORD.render(), NOW, NOW)
    assert find([good], ADMINISTRATORS, "a" * 40) == RECORD
    assert find([good], ADMINISTRATORS, "b" * 40) is None
    assert find([Comment(1, "member", good.body, NOW, NOW)], ADMINISTRATORS, "a" * 40) is None
    assert find([Comment(1, "platform-admin", good.body, NOW, LATER)], ADMINISTRATORS, "a" * 40) is None
