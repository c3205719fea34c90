"""What nobody uses goes when it is old, or sooner, oldest first, where there is too much of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

DAY = timedelta(days=1)
GIB = 2**30
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Limit:
    """How old what is unused may become, and how many bytes all of it may take. Until it is `least` old, it stays."""

    age: timedelta
    size: int
    least: timedelta = DAY


@dataclass(frozen=True, slots=True)
class Unused(Generic[T_co]):
    """Something that nobody uses, its bytes, and since when it is there."""

    what: T_co
    size: int
    since: datetime


def due(unused: Iterable[Unused[T]], limit: Limit, now: datetime) -> list[Unused[T]]:
    """What goes of all that is unused in one place, oldest first.

    Nothing does before the limit's least age, whatever there is of it: who made it may be about to name it.
    """
    ordered = sorted(unused, key=lambda one: one.since)
    left = sum(one.size for one in ordered)
    gone = []
    for one in ordered:
        age = now - one.since
        if age > limit.least and (age > limit.age or left > limit.size):
            gone.append(one)
            left -= one.size
    return gone
