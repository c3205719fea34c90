"""Version numbers and what the manifest accepts: `v1.35.0`, `>=3.257, <4`."""

import re
from typing import NamedTuple

_NUMBER = re.compile(r"(?<![\w.])v?(\d+)\.(\d+)(?:\.(\d+))?(?![\d.])(-[0-9A-Za-z.-]+)?")
_CONSTRAINT = re.compile(r"(==|>=|<=|<|>)\s*v?(\d+(?:\.\d+){0,2})")


class Version(NamedTuple):
    """A released version. Pre-releases are never accepted, so only its numbers are kept."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse(text: str) -> Version | None:
    """The first version number in `text` (a tool's whole answer); None when there is none, or it is a pre-release.

    `0.0.0` also counts as none: it is what Go programs say of themselves when nobody told them their version.
    """
    match = _NUMBER.search(text)
    if not match or (match[4] and re.match(r"-(alpha|beta|rc|dev|pre|next|\d)", match[4])):
        return None
    version = Version(int(match[1]), int(match[2]), int(match[3] or 0))
    return version if any(version) else None


def accepts(constraints: str, version: Version) -> bool:
    """Whether `version` satisfies every comma-separated constraint. Raises ValueError for one that is malformed."""
    return all(_holds(part.strip(), version) for part in constraints.split(","))


def _holds(constraint: str, version: Version) -> bool:
    match = _CONSTRAINT.fullmatch(constraint)
    if not match:
        raise ValueError(f"{constraint!r} is no constraint; write ==, >=, <=, < or > and a version, such as >=3.257")
    numbers = [int(number) for number in match[2].split(".")]
    bound = Version(*numbers, *[0] * (3 - len(numbers)))
    match match[1]:
        case "==":
            return version[: len(numbers)] == tuple(numbers)
        case ">=":
            return version >= bound
        case "<=":
            return version <= bound
        case "<":
            return version < bound
        case _:
            return version > bound
