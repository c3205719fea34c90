"""A pull request as everything that judges it sees it. Account names are in lower case, as forges compare them."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Push:
    """One push to a branch, by the account that the forge authenticated. `old` is empty where the push made the branch,
    `new` where it deleted it. `commits` are those that the forge names; it names only the newest few.
    """

    id: int
    account: str
    branch: str
    old: str
    new: str
    time: datetime
    commits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit. `people` are the accounts that its author's and committer's addresses belong to; anybody can write
    anybody's address, so they may take an approval away but never give one.
    """

    sha: str
    people: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Review:
    """A submitted review. `counts_at_forge`: the forge itself lets it hold a merge up."""

    id: int
    account: str
    state: str
    commit: str
    time: datetime
    dismissed: bool = False
    counts_at_forge: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """One commit status; `id` grows with time within a commit."""

    id: int
    sha: str
    account: str
    context: str
    state: str
    description: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment. On Gitea everybody who may write to the repository may also edit it, under its author's name."""

    id: int
    account: str
    body: str
    created: datetime
    updated: datetime

    @property
    def edited(self) -> bool:
        """Whether it may no longer say what its author wrote."""
        return self.updated != self.created


@dataclass(frozen=True, slots=True)
class Pull:
    """An open pull request into main.

    Args:
        pushes: every push to its branch since that was made, oldest first.
        elsewhere: accounts that pushed one of its commits to another branch.
        paths: what it changes, old names of renamed files included.
        sections: changed top-level keys of parameter files, as `ml/params.yaml: gate`.
        statuses: those of its head and of `earlier_heads`.
    """

    number: int
    author: str
    branch: str
    head: str
    draft: bool = False
    fork: bool = False
    pushes: tuple[Push, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    commits: tuple[Commit, ...] = ()
    paths: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    reviews: tuple[Review, ...] = ()
    statuses: tuple[Status, ...] = ()
    comments: tuple[Comment, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Merge:
    """A pull request that was merged. `sha`: what the branch became that took it; `head`: what was merged; `account`:
    who merged, as the forge authenticated them.
    """

    number: int
    sha: str
    head: str
    account: str
    time: datetime


def pushes_of(branch: str, pushes: Iterable[Push]) -> tuple[Push, ...]:
    """The pushes to a branch since it was made last, oldest first; none where its making is not on record."""
    own = sorted((push for push in pushes if push.branch == branch), key=lambda push: push.id)
    starts = [index for index, push in enumerate(own) if push.new and not push.old]
    gone = [index for index, push in enumerate(own) if not push.new]
    if not starts or (gone and gone[-1] > starts[-1]):
        return ()
    return tuple(own[starts[-1] :])


def on_record(pushes: tuple[Push, ...], head: str) -> bool:
    """Whether it is known who pushed each commit: one push follows the other, from the branch's making to `head`."""
    if not pushes or pushes[0].old or pushes[-1].new != head:
        return False
    return all(before.new == after.old for before, after in itertools.pairwise(pushes))


def heads(pushes: tuple[Push, ...], head: str, platform: frozenset[str]) -> tuple[str, ...]:
    """`head` and the earlier heads from which only pushes of the accounts `platform` lead to it, newest first."""
    found = [head]
    if not on_record(pushes, head):
        return (head,)
    for push in reversed(pushes):
        if push.account not in platform or not push.old:
            break
        found.append(push.old)
    return tuple(found)
