"""What commits name: every object of DVC's and every image that any commit of some histories has or had.

Whatever looks like a name counts as one, in any file that may hold names. So nothing that is named is overlooked, and
no file that somebody broke keeps the rest from being read. Nor does one of any size, or a tree that unfolds to more
files than there is room for: each object is read once, in pieces.
"""

import re
from collections.abc import Callable, Container, Sequence
from stat import S_ISDIR, S_ISLNK, S_ISREG

from ci.failure import Failure
from ci.git import Repository
from mlplatform.releases import DIGEST

OBJECT = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")
_IMAGE = re.compile(DIGEST.pattern.encode())
# More than the longest name, and what stands around it.
_OVERLAP = 128

# Where a folder stands, for what looks for files by more than their names; "" is the root.
Place = str


class Search:
    """Finds names in a content that is written to it in pieces. Of what the end of a piece cut off it may take a part
    for a name, too.

    Args:
        pattern: what a name looks like.
        among: the names that matter, if not all do.
    """

    def __init__(self, pattern: re.Pattern[bytes], among: Container[str] | None = None) -> None:
        self.found: set[str] = set()
        self._pattern, self._among, self._rest = pattern, among, b""

    def write(self, piece: bytes, /) -> None:
        """Take a piece."""
        text = self._rest + piece
        for match in self._pattern.finditer(text):
            name = match[0].decode()
            if self._among is None or name in self._among:
                self.found.add(name)
        self._rest = text[-_OVERLAP:]

    def end(self) -> None:
        """What is written from here on is another content."""
        self._rest = b""


def objects(repository: Repository, revisions: Sequence[str], among: Container[str] | None = None) -> frozenset[str]:
    """MD5s (with `.dir` for a folder) in every `.dvc` file and `dvc.lock` of all history that leads to `revisions`;
    only those `among` some, if given.

    Raises `Failure` where a commit or a file cannot be read.
    """

    def is_picked(place: Place, name: bytes) -> bool:
        return name.endswith(b".dvc") or name == b"dvc.lock"

    return _named(repository, revisions, Search(OBJECT, among), lambda place, name: place, is_picked)


def images(repository: Repository, revisions: Sequence[str]) -> frozenset[str]:
    """Digests in every manifest of an app in all history that leads to `revisions`. Raises `Failure`."""
    apps, app, manifests, elsewhere = "apps", "app", "manifests", "elsewhere"

    def within(place: Place, name: bytes) -> Place:
        if place == "":
            return apps if name == b"apps" else elsewhere
        if place == app:
            return manifests if name in (b"base", b"overlays") else elsewhere
        return app if place == apps else place

    return _named(repository, revisions, Search(_IMAGE), within, lambda place, name: place == manifests)


def _named(
    repository: Repository,
    revisions: Sequence[str],
    search: Search,
    within: Callable[[Place, bytes], Place],
    is_picked: Callable[[Place, bytes], bool],
) -> frozenset[str]:
    """Search each content that a picked file has in some commit.

    Args:
        within: where a folder stands by its name, in a folder that stands there.
        is_picked: whether to read a file of a name in a folder that stands there.
    """
    if repository.git("rev-parse", "--is-shallow-repository").strip() == b"true":
        raise Failure("the checkout lacks history, so nobody can tell what is named: check out with fetch-depth: 0")
    roots = repository.git("rev-list", "--no-commit-header", "--format=%T", *revisions, "--").decode().split()
    waiting = list(dict.fromkeys((root, "") for root in roots))
    seen, blobs = set(waiting), set[str]()
    with repository.reading() as read:
        while waiting:
            folder, place = waiting.pop()
            entries = _Entries(len(folder) // 2)
            read(folder, entries.write)
            for mode, name, there in entries.found:
                if S_ISDIR(mode):
                    below = there, within(place, name)
                    if below not in seen:
                        seen.add(below)
                        waiting.append(below)
                elif (S_ISREG(mode) or S_ISLNK(mode)) and is_picked(place, name):
                    blobs.add(there)
        for blob in sorted(blobs):
            read(blob, search.write)
            search.end()
    return frozenset(search.found)


class _Entries:
    """The entries of a git tree that is written to it in pieces: mode, name and object."""

    def __init__(self, width: int) -> None:
        self.found: list[tuple[int, bytes, str]] = []
        self._width, self._rest = width, b""

    def write(self, piece: bytes, /) -> None:
        text, start = self._rest + piece, 0
        while (end := text.find(b"\0", start)) >= 0 and end + self._width < len(text):
            mode, _, name = text[start:end].partition(b" ")
            start = end + 1 + self._width
            self.found.append((int(mode, 8), name, text[end + 1 : start].hex()))
        self._rest = text[start:]
