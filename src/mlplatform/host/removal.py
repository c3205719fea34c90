"""What taking the platform off a host changes there, in words: a line for each task, grouped where there is much."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

# Where modules say what they change: lists of names, or one file or unit, or at least what of a loop it is.
_LISTS = ("removed", "parameters")
_ONE = ("path", "name", "item")
# What Kubernetes and its network make by the dozen: devices of pods, and sets of addresses.
_GENERATED = re.compile(r"(?P<kind>veth|KUBE-(SRC|DST)-)[0-9A-Za-z]{8,}")
_PROCESS = re.compile(r"(?P<name>.*) \(\d+\)")


@dataclass(frozen=True)
class Change:
    """A task that changes something, by its name, and what its module says of that."""

    task: str
    result: Mapping[str, Any]


def lines(changes: Iterable[Change], folders: Iterable[str]) -> list[str]:
    """A line for each task that changes something, with all that it changes.

    Processes are counted by name, mounts by which of `folders` they are in, devices of pods and sets of addresses by
    how their names begin, everything else is named. A task whose module names nothing is a line by its own name, so
    nothing that it does is left out.
    """
    places, found = list(folders), dict[str, list[str]]()
    for change in changes:
        found.setdefault(change.task, []).extend(_things(change.result, places))
    return [f"{task}: {', '.join(things)}" if things else task for task, things in found.items()]


def _things(result: Mapping[str, Any], folders: list[str]) -> Iterator[str]:
    names = Counter(match["name"] for one in result.get("ended", ()) if (match := _PROCESS.fullmatch(one)))
    yield from (name if count == 1 else f"{count} {name}" for name, count in sorted(names.items()))
    places = Counter(_place(one, folders) for one in result.get("mounts", ()))
    yield from (f"{count} in {place}" for place, count in sorted(places.items()))
    for key in _LISTS:
        yield from _counted(map(str, result.get(key, ())))
    yield from [str(result[key]) for key in _ONE if key in result][:1]


def _counted(names: Iterable[str]) -> Iterator[str]:
    kinds = Counter[str]()
    for name in names:
        if match := _GENERATED.fullmatch(name):
            kinds[match["kind"]] += 1
        else:
            yield name
    yield from (f"{count} {kind}*" for kind, count in sorted(kinds.items()))


def _place(mount: str, folders: list[str]) -> str:
    """The folder directly below one of `folders` that a mount is in or on; the mount itself where there is none."""
    for folder in folders:
        if PurePath(mount).is_relative_to(folder) and mount != folder:
            return str(PurePath(folder, PurePath(mount).relative_to(folder).parts[0]))
    return mount
