"""What a host keeps of what it downloaded to build and install from, and can get again: Go modules, Python packages.

Neither Go nor uv removes such a thing by itself.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlplatform.retention import Unused

Size = Callable[[Path], int]
_BUCKET = re.compile(r"(?P<name>[a-z-]+)-v(?P<version>\d+)")


@dataclass(frozen=True)
class GoModules:
    """Go's module cache."""

    folder: Path

    def unused(self, sums: Iterable[str], size: Size) -> list[Unused[Path]]:
        """The modules that no go.sum of `sums` (their texts) names, by the folder that they are unpacked in."""
        named = {
            f"{_escaped(words[0])}@{_escaped(words[1].removesuffix('/go.mod'))}"
            for text in sums
            for line in text.splitlines()
            if len(words := line.split()) == 3
        }
        found = []
        for path in self._unpacked():
            if str(path.relative_to(self.folder)) not in named:
                since = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
                found.append(Unused(path, size(path) + sum(size(one) for one in self._archives(path)), since))
        return found

    def delete(self, path: Path) -> None:
        """Delete a module, packed and unpacked. Raises OSError."""
        for archive in self._archives(path):
            archive.unlink(missing_ok=True)
        # Go itself removes what has this name, where this is interrupted; the module is gone for it at once.
        going = path.with_name(f"{path.name}.tmp-prune")
        # Its folders are read-only, for everybody but root.
        for place, _, _ in os.walk(path):
            Path(place).chmod(0o700)
        shutil.rmtree(path.rename(going))

    def _unpacked(self) -> Iterator[Path]:
        for place, below, _ in os.walk(self.folder):
            modules = [name for name in below if "@" in name]
            yield from (
                path for name in sorted(modules) if ".tmp-" not in name and not (path := Path(place, name)).is_symlink()
            )
            # What has been downloaded packed, and what lies in a module.
            below[:] = [name for name in below if name not in modules and Path(place, name) != self.folder / "cache"]

    def _archives(self, path: Path) -> list[Path]:
        module, _, version = str(path.relative_to(self.folder)).rpartition("@")
        place = self.folder / "cache" / "download" / module / "@v"
        return [file for suffix in (".zip", ".ziphash") if (file := place / f"{version}{suffix}").is_file()]


@dataclass(frozen=True)
class Packages:
    """uv's cache. Environments on its disk share its files by hard links."""

    folder: Path

    def unused(self, size: Size) -> list[Unused[Path]]:
        """The packages of which no environment has a file, and what an earlier version of uv kept."""
        found = [*self._old_buckets(), *(path for path in self._unpacked() if not _shared(path))]
        return [Unused(path, size(path), datetime.fromtimestamp(path.lstat().st_mtime, UTC)) for path in found]

    def names(self, paths: Iterable[Path]) -> list[str]:
        """The names of the packages that are unpacked in `paths`, for `uv cache clean`; what dangles has none."""
        wanted = {path.name for path in paths}
        links = (path for path in self.folder.glob("wheels-v*/**/*") if path.is_symlink())
        return sorted({link.parent.name for link in links if link.readlink().name in wanted})

    def _unpacked(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("archive-v*/[!.]*") if path.is_dir() and not path.is_symlink())

    def _old_buckets(self) -> Iterator[Path]:
        newest: dict[str, int] = {}
        buckets = [(path, match) for path in self.folder.glob("*-v*") if (match := _BUCKET.fullmatch(path.name))]
        for _, match in buckets:
            newest[match["name"]] = max(newest.get(match["name"], 0), int(match["version"]))
        for path, match in sorted(buckets, key=lambda one: one[0]):
            # What is unpacked is looked at piece by piece.
            if match["name"] != "archive" and int(match["version"]) < newest[match["name"]] and path.is_dir():
                yield path


def _shared(folder: Path) -> bool:
    return any(Path(place, name).lstat().st_nlink > 1 for place, _, names in os.walk(folder) for name in names)


def _escaped(text: str) -> str:
    """As Go writes a module's path and version into its cache, which is not to depend on a file system's case."""
    return re.sub(r"[A-Z]", lambda match: f"!{match[0].lower()}", text)
