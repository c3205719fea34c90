"""Merges into main that the bot did not make: an administrator answers for them by a record, or nobody allowed them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from mlplatform.pulls import record
from mlplatform.pulls.model import Comment, Merge
from mlplatform.pulls.record import Record
from mlplatform.pulls.rules import ADMINISTRATORS, MERGER


@dataclass(frozen=True, slots=True)
class Finding:
    """A merge that the bot did not make. Without a `record` nobody allowed it."""

    merge: Merge
    record: Record | None


def look(
    merge: Merge,
    since: datetime,
    comments: Callable[[int], Iterable[Comment]],
    merger: str = MERGER,
    administrators: frozenset[str] = ADMINISTRATORS,
) -> Finding | None:
    """What is to be said of a merge, `None` where that is nothing.

    Args:
        merge: it, with who merged.
        since: when the account `merger` was made; before that others merged.
        comments: gives a pull request's comments by its number; asked only where they decide.
    """
    if merge.account == merger or merge.time < since:
        return None
    if merge.account not in administrators:
        return Finding(merge, None)
    return Finding(merge, record.find(comments(merge.number), administrators, merge.head))
