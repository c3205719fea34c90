"""Which merges nobody allowed; tests/apps/bot and tests/scripts/ci find them on a real forge."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlplatform.pulls.merges import look
from mlplatform.pulls.model import Comment, Merge
from mlplatform.pulls.record import Record

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MERGE = Merge(7, "c" * 40, "a" * 40, "platform-admin", SINCE)
RECORD = Record("alice", MERGE.head, "the gate does not start")


def comments(number: int) -> list[Comment]:
    """Those of the pull request: the record, which an administrator wrote."""
    assert number == MERGE.number
    return [Comment(1, "platform-admin", RECORD.render(), SINCE, SINCE)]


def test_c9_what_the_bot_merged_and_what_was_merged_before_there_was_one_is_no_finding() -> None:
    assert look(replace(MERGE, account="ml-merge"), SINCE, comments) is None
    assert look(replace(MERGE, account="member", time=SINCE - timedelta(seconds=1)), SINCE, comments) is None


def test_c9_an_administrator_answers_for_a_merge_by_the_record_of_its_head() -> None:
    found = look(MERGE, SINCE, comments)
    assert found is not None
    assert found.record == RECORD


@pytest.mark.parametrize(
    "merge", [replace(MERGE, account="member"), replace(MERGE, account=""), replace(MERGE, head="b" * 40)]
)
def test_c9_anybody_elses_merge_or_one_of_another_head_was_allowed_by_nobody(merge: Merge) -> None:
    found = look(merge, SINCE, comments)
    assert found is not None
    assert found.record is None
