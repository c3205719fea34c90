"""Which images of a registry may go: read from the folder in which it keeps them, which is distribution's own layout.

What is deleted is told to the registry; the blobs that no image names any more go when its garbage is collected.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mlplatform.releases import DIGEST
from mlplatform.retention import Unused

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
    return frozenset(DIGEST.findall(_blob(data, digest).read_text(encoding="utf-8")))


def blob_size(data: Path, digest: str) -> int:
    """The bytes of a blob, 0 where the registry has none of that digest."""
    try:
        return _blob(data, digest).stat().st_size
    except FileNotFoundError:
        return 0


def _blob(data: Path, digest: str) -> Path:
    hexadecimal = digest.removeprefix("sha256:")
    return data / _ROOT / "blobs" / "sha256" / hexadecimal[:2] / hexadecimal / "data"


def unused(
    found: Iterable[Image],
    names: Collection[str],
    within: Callable[[str], frozenset[str]],
    size: Callable[[str], int],
) -> list[Unused[tuple[Image, ...]]]:
    """The images, oldest first, that are not among the newest of their kind, and neither named nor part of such ones.

    What an image consists of goes together with it, and is as young as the youngest of it. Where several consist of the
    same, it goes with the newest of them. The bytes are what the disk gets back where all that is older went before.

    Args:
        found: every image of the registry.
        names: digests, and `repository:tag`.
        within: what an image's manifest names.
        size: the bytes of a blob.
    """
    everything, parts_of = list(found), cache(within)
    newest: dict[tuple[str, bool], list[Image]] = {}
    for one in sorted(everything, key=lambda one: one.since, reverse=True):
        newest.setdefault(one.kind, []).append(one)
    stays = [
        one
        for one in everything
        if one in newest[one.kind][:MOST]
        or one.digest in names
        or any(f"{one.repository}:{tag}" in names for tag in one.tags)
    ]
    by_place = {(one.repository, one.digest): one for one in everything}

    def whole(images: Iterable[Image]) -> set[Image]:
        """Images, and all that they consist of."""
        looked, fresh = set[Image](), set(images)
        while fresh:
            looked |= fresh
            parts = {(one.repository, part) for one in fresh for part in parts_of(one.digest)}
            fresh = {by_place[place] for place in parts if place in by_place} - looked
        return looked

    taken = whole(stays)
    blobs = {blob for one in taken for blob in (one.digest, *parts_of(one.digest))}
    wholes = {one: whole([one]) - taken for one in everything if one not in taken}
    inner = {part for top, images in wholes.items() for part in images if part != top}
    since = {top: max(one.since for one in images) for top, images in wholes.items() if top not in inner}
    gone = []
    for top in sorted(since, key=lambda top: since[top], reverse=True):
        own = [top, *(wholes[top] - {top} - taken)]
        held = {blob for one in own for blob in (one.digest, *parts_of(one.digest))} - blobs
        gone.append(Unused(tuple(own), sum(size(blob) for blob in held), since[top]))
        taken |= set(own)
        blobs |= held
    return gone[::-1]
