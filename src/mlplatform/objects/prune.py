"""What of a versioned bucket goes, by age and by size.

What cannot be made again goes in two steps, of which the first can be taken back. An object that is due is hidden, as
every deletion in such a bucket does: its versions stay. A version that has been hidden or replaced for as long as the
limit's age is removed for good. Until then whoever finds that the object is still wanted gets it back.

What runs left goes in one step: another run makes it again.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any

from mlplatform import retention
from mlplatform.objects.verify import of_body
from mlplatform.retention import DAY, Limit, Unused

# Of what a run replaced, so many of the newest stay for a day. A run that is started again replaces its one object; its
# code may do so as often as it likes, and would fill a disk within the day.
MOST_REPLACED = 3


@dataclass(frozen=True, slots=True)
class Version:
    """What a bucket held under a key since a time, in bytes. A `marker` holds nothing: the object was deleted then."""

    key: str
    id: str
    since: datetime
    latest: bool
    marker: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """Keys of objects to hide, and versions to remove for good, in this order."""

    hidden: list[str]
    removed: list[Version]


def due(versions: Iterable[Version], keeps: Callable[[str], bool], limit: Limit, now: datetime) -> Due:
    """What goes, in two steps, of `versions`, which are all that the bucket has of their keys.

    Args:
        versions: every version of every key in question.
        keeps: whether a key is named by somebody; such a key loses nothing, old versions included.
        limit: when an object is hidden. By size too, of all that is not hidden yet; but a version must have been hidden
            or replaced for as long as the age, however many bytes that takes.
        now: the time.
    """
    shown, removed = list[Unused[str]](), list[Version]()
    for key, ordered in _by_key(versions):
        if keeps(key):
            continue
        newest = ordered[0]
        if newest.latest and not newest.marker:
            shown.append(Unused(key, newest.size, newest.since))
        old = [one for after, one in pairwise(ordered) if now - after.since > limit.age]
        # Before the marker that hides it, or the store would show it again.
        removed += reversed(old)
        if _is_bare(ordered, old) and now - newest.since > limit.age:
            removed.append(newest)
    return Due([one.what for one in retention.due(shown, limit, now)], removed)


def left_due(versions: Iterable[Version], keeps: Callable[[str], bool], limit: Limit, now: datetime) -> Due:
    """What goes, in one step, of what runs left.

    What was replaced or hidden goes a day later, or at once beyond the `MOST_REPLACED` newest of a key: also where
    `keeps` says that the key is wanted, which keeps what is there now alone. All that is not kept counts in the size.
    """
    removed, unused = list[Version](), list[Unused[Version]]()
    for key, ordered in _by_key(versions):
        newest, old = ordered[0], list[Version]()
        for number, (after, one) in enumerate(pairwise(ordered)):
            if number >= MOST_REPLACED or now - after.since > DAY:
                old.append(one)
            else:
                unused.append(Unused(one, one.size, after.since))
        # Before what replaced it, or the store would show it again.
        removed += reversed(old)
        if _is_bare(ordered, old) and now - newest.since > DAY:
            removed.append(newest)
        elif newest.latest and not newest.marker and not keeps(key):
            unused.append(Unused(newest, newest.size, newest.since))
    return Due([], removed + [one.what for one in retention.due(unused, limit, now)])


def _by_key(versions: Iterable[Version]) -> Iterator[tuple[str, list[Version]]]:
    """The versions of each key, newest first."""
    for key, found in groupby(sorted(versions, key=lambda one: one.key), lambda one: one.key):
        yield key, _newest_first(found)


def _newest_first(versions: Iterable[Version]) -> list[Version]:
    # A store may count in seconds, in which an object is written and deleted.
    return sorted(versions, key=lambda one: (one.latest, one.since), reverse=True)


def _is_bare(ordered: list[Version], gone: list[Version]) -> bool:
    """Whether nothing is left of a key without these but the marker that hides it."""
    return ordered[0].latest and ordered[0].marker and len(gone) == len(ordered) - 1


def versions(client: Any, bucket: str, prefix: str, page: int = 1000) -> list[Version]:
    """Every version and marker below a prefix, listed by pages of so many. `client` is boto3's, whose errors come
    through.
    """
    pages = client.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": page}
    )
    found: dict[tuple[str, str], Version] = {}
    for answer in pages:
        for kind, marker in (("Versions", False), ("DeleteMarkers", True)):
            for one in answer.get(kind, []):
                version = Version(
                    one["Key"], one["VersionId"], one["LastModified"], one["IsLatest"], marker, one.get("Size", 0)
                )
                # versitygw begins a page with what the page before ended with.
                found.setdefault((version.key, version.id), version)
    return list(found.values())


def carry_out(client: Any, bucket: str, what: Due) -> None:
    """Hide and remove. `client` is boto3's, whose errors come through; what was done by then stays done."""
    for key in what.hidden:
        client.delete_object(Bucket=bucket, Key=key)
    for version in what.removed:
        client.delete_object(Bucket=bucket, Key=version.key, VersionId=version.id)


def contents(client: Any, bucket: str, found: Iterable[Version]) -> Iterator[Generator[bytes, None, None]]:
    """The contents, each in pieces, of versions of one key, newest first."""
    for version in _newest_first(found):
        if not version.marker:
            yield of_body(client.get_object(Bucket=bucket, Key=version.key, VersionId=version.id)["Body"])
