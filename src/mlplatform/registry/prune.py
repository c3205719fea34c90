"""Which images of a registry may go: read from the folder in which it keeps them, which is distribution's own layout.

What is deleted is told to the registry; the blobs that no image names any more go when its garbage is collected.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.releases import DIGEST

# A repository's images of one kind, of which so many of the newest stay, whoever names them.
MOST = 10
_ROOT = Path("docker/registry/v2")
# How `ci.release` tags an app's layers of dependencies; all other images are of the other kind.
_DEPENDENCIES = "dependencies-"


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a repository. `since`: when it was last pushed or tagged."""

    repository: str
    digest: str
    since: datetime
    tags: frozenset[str]

    @property
    def kind(self) -> tuple[str, bool]:
        return self.repository, any(tag.startswith(_DEPENDENCIES) for tag in self.tags)

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" + (f" ({', '.join(sorted(self.tags))})" if self.tags else "")


def images(data: Path) -> list[Image]:
    """Every image in the registry's folder `data`, tagged or not. Raises OSError where it cannot be read."""
    found = []
    repositories = data / _ROOT / "repositories"
    for place in sorted(repositories.glob("**/_manifests")):
        repository = str(place.parent.relative_to(repositories))
        links: dict[str, list[Path]] = {}
        tags: dict[str, set[str]] = {}
        for link in [*place.glob("revisions/sha256/*/link"), *place.glob("tags/*/index/sha256/*/link")]:
            links.setdefault(f"sha256:{link.parent.name}", []).append(link)
        for link in place.glob("tags/*/current/link"):
            digest = link.read_text(encoding="ascii").strip()
            links.setdefault(digest, []).append(link)
            tags.setdefault(digest, set()).add(link.parents[1].name)
        for digest, files in sorted(links.items()):
            if (place / "revisions" / "sha256" / digest.removeprefix("sha256:") / "link").is_file():
                newest = max(file.stat().st_mtime for file in files)
                since = datetime.fromtimestamp(newest, UTC)
                found.append(Image(repository, digest, since, frozenset(tags.get(digest, ()))))
    return found


def inside(data: Path, digest: str) -> frozenset[str]:
    """The digests that an image's manifest names; of an index, those of its images. Raises OSError."""
    hexadecimal = digest.removeprefix("sha256:")
    path = data / _ROOT / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal / "data"
    return frozenset(DIGEST.findall(path.read_text(encoding="utf-8")))


def due(
    found: Iterable[Image],
    names: Collection[str],
    within: Callable[[str], frozenset[str]],
    age: timedelta,
    now: datetime,
) -> list[Image]:
    """Which of all images go: older than `age`, not among the newest of their kind, and neither named nor part of an
    image that stays.

    Args:
        found: every image of the registry.
        names: digests, and `repository:tag`.
        within: what an image's manifest names.
        age: how old an image must be.
        now: the time.
    """
    everything = list(found)
    newest: dict[tuple[str, bool], list[Image]] = {}
    for one in sorted(everything, key=lambda one: one.since, reverse=True):
        newest.setdefault(one.kind, []).append(one)
    stays = {
        one
        for one in everything
        if now - one.since <= age
        or one in newest[one.kind][:MOST]
        or one.digest in names
        or any(f"{one.repository}:{tag}" in names for tag in one.tags)
    }
    by_place = {(one.repository, one.digest): one for one in everything}
    looked = set[Image]()
    while fresh := stays - looked:
        looked |= fresh
        parts = {(one.repository, part) for one in fresh for part in within(one.digest)}
        stays |= {by_place[place] for place in parts if place in by_place}
    return [one for one in everything if one not in stays]
