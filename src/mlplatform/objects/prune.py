"""What of a versioned bucket goes by age: in two steps, of which the first can be taken back.

An object that is old enough is hidden, as every deletion in such a bucket does: its versions stay. A version that has
been hidden or replaced for as long again is removed for good. Until then whoever finds that the object is still wanted
gets it back.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from mlplatform.objects.verify import of_body

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Version:
    """What a bucket held under a key since a time. A `marker` holds nothing: the object was deleted then."""

    key: str
    id: str
    since: datetime
    latest: bool
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Keys of objects to hide, and versions to remove for good, in this order."""

    hidden: list[str]
    removed: list[Version]


def due(versions: Iterable[Version], keeps: Callable[[str], bool], age: timedelta, now: datetime) -> Due:
    """What goes of `versions`, which are all that the bucket has of their keys.

    Args:
        versions: every version of every key in question.
        keeps: whether a key is named by somebody; such a key loses nothing, old versions included.
        age: how old an object must be to be hidden, and for how long a version must have been hidden or replaced.
        now: the time.
    """
    hidden, removed = list[str](), list[Version]()
    for key, found in groupby(sorted(versions, key=lambda one: one.key), lambda one: one.key):
        if keeps(key):
            continue
        # Newest first. A store may count in seconds, in which an object is written and deleted.
        ordered = sorted(found, key=lambda one: (one.latest, one.since), reverse=True)
        newest = ordered[0]
        if newest.latest and not newest.marker and now - newest.since > age:
            hidden.append(key)
        old = [one for after, one in pairwise(ordered) if now - after.since > age]
        # Before the marker that hides it, or the store would show it again.
        removed += reversed(old)
        if newest.latest and newest.marker and len(old) == len(ordered) - 1 and now - newest.since > age:
            removed.append(newest)
    return Due(hidden, removed)


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
                version = Version(one["Key"], one["VersionId"], one["LastModified"], one["IsLatest"], marker)
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
    for version in sorted(found, key=lambda one: (one.latest, one.since), reverse=True):
        if not version.marker:
            yield of_body(client.get_object(Bucket=bucket, Key=version.key, VersionId=version.id)["Body"])
