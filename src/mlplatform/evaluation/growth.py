"""Whether a test set only grew, and whether its rows stayed out of the training data; told by the rows' hashes."""

from collections import Counter
from collections.abc import Sequence

from mlplatform.evaluation.rows import Row
from mlplatform.evaluation.split import belongs


def faults(old: Sequence[Row], new: Sequence[Row], share: float) -> list[str]:
    """Why an owner has to approve a new test set, one sentence each; empty where it is the old one and new rows.

    Args:
        old: main's test set.
        new: the pull request's.
        share: main's `test_set.share`.
    """
    found = []
    left = Counter(row.whole for row in new)
    left.subtract(row.whole for row in old)
    lost = sum(-count for count in left.values() if count < 0)
    known = {row.input for row in old}
    added = [row for row in new if row.input not in known]
    again = sum(1 for row in new if row.input in known) - (len(old) - lost)
    if lost:
        found.append(f"{lost} of main's {len(old)} rows were dropped or changed")
    if again > 0:
        found.append(f"{again} rows show what a row of main's shows already, as copies or with other targets")
    if repeated := len(added) - len({row.input for row in added}):
        found.append(f"{repeated} of the new rows show the same as another")
    if strangers := sum(not belongs(row.input, share) for row in added):
        found.append(f"{strangers} of the {len(added)} new rows belong to the training data by main's rule")
    return found


def added(old: Sequence[Row], new: Sequence[Row]) -> int:
    """How many rows show a model what no row of main's does."""
    known = {row.input for row in old}
    return sum(row.input not in known for row in new)


def leaked(test: Sequence[Row], training: Sequence[Row]) -> int:
    """How many rows of the test set the training data show, with the same targets or others.

    Only the same content is found: a copy that was changed by one bit is another row.
    """
    shown = {row.input for row in training}
    return sum(row.input in shown for row in test)
