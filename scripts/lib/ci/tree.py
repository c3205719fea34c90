"""Files of a commit, read as objects: nothing is checked out, nothing is executed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ci.failure import Unacceptable
from ci.git import Repository

READ_LIMIT = 16 * 2**20
_FILES = {"100644", "100664", "100755"}


class Tree(Protocol):
    """Files by their path from the repository's root, with `/` between the parts."""

    def read(self, path: str) -> bytes | None:
        """A file's content, `None` where there is no such file."""

    def files(self, folder: str) -> list[str]:
        """The paths of all files below a folder, sorted."""


class LinkedTree(Tree, Protocol):
    """A tree that says where something else than a file or a folder stands."""

    def links(self, path: str) -> list[str]:
        """The paths, at and below one, of symbolic links and submodules."""


@dataclass(frozen=True)
class CommitTree:
    """The files of a commit. Symbolic links and submodules are no files: they are not followed."""

    repository: Repository
    commit: str
    _cache: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes | None:
        found = self._list(path).get(path)
        if found is None:
            return None
        blob, size = found
        if size > READ_LIMIT:
            raise Unacceptable(f"{path}: {size} bytes are too many to read: track the file with DVC")
        if blob not in self._cache:
            self._cache[blob] = self.repository.git("cat-file", "blob", blob)
        return self._cache[blob]

    def files(self, folder: str) -> list[str]:
        return sorted(self._list(folder.rstrip("/") + "/"))

    def links(self, path: str) -> list[str]:
        return sorted(name for name, mode, *_ in self._entries(path) if mode not in _FILES)

    def _list(self, path: str) -> dict[str, tuple[str, int]]:
        """Blob and size by path, of a file, or of what lies below a folder when `path` ends with `/`."""
        return {name: (blob, int(size)) for name, mode, blob, size in self._entries(path) if mode in _FILES}

    def _entries(self, path: str) -> Iterator[tuple[str, str, str, str]]:
        """Name, mode, object and size of all that is no folder."""
        output = self.repository.git("ls-tree", "-r", "-l", "-z", "--full-tree", self.commit, "--", path)
        for line in output.split(b"\0"):
            if line:
                about, name = line.split(b"\t", 1)
                mode, _, blob, size = about.decode().split()
                yield name.decode(errors="replace"), mode, blob, size


@dataclass(frozen=True)
class Overlay:
    """A tree in which some paths (files, or folders with all they hold) are replaced by other files."""

    base: Tree
    replaced: frozenset[str]
    content: Mapping[str, bytes]

    def read(self, path: str) -> bytes | None:
        return self.content.get(path) if self._is_replaced(path) else self.base.read(path)

    def files(self, folder: str) -> list[str]:
        prefix = folder.rstrip("/") + "/"
        kept = {path for path in self.base.files(folder) if not self._is_replaced(path)}
        return sorted(kept | {path for path in self.content if path.startswith(prefix)})

    def _is_replaced(self, path: str) -> bool:
        return any(path == top or path.startswith(f"{top}/") for top in self.replaced)
