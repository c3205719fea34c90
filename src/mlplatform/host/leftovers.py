"""What earlier versions of the platform left in the cache of a host, and nobody uses any more."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mlplatform.retention import Unused

# Environments and tools by version, and what building them said. `downloads` knows what they were made from; the image
# build and Go's build cache tidy themselves.
_PATTERNS = ("venvs/*", "bootstrap/*", "tools/*/*", "logs/toolchain/*")
_PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Cache:
    """A cache folder. `kept`: what of it this checkout uses. `processes`: where the kernel lists them."""

    folder: Path
    kept: Collection[Path]
    processes: Path = _PROCESSES

    def unused(self, size: Callable[[Path], int]) -> list[Unused[Path]]:
        """What is not kept, leads nowhere and is led to by no program that runs, since when it was used last.

        Never what a link leads to, and never a link. `size`: the bytes of a path.
        """
        used = {*self.kept, *self._linked(), *self._running()}
        found = []
        for pattern in _PATTERNS:
            for path in sorted(self.folder.glob(pattern)):
                if path.name.startswith(".") or self._leads_away(path):
                    continue
                if any(one == path or path in one.parents for one in used):
                    continue
                found.append(Unused(path, size(path), datetime.fromtimestamp(_used(path), UTC)))
        return found

    def _leads_away(self, path: Path) -> bool:
        return any(one.is_symlink() for one in (path, *path.parents) if self.folder in one.parents)

    def _linked(self) -> Iterator[Path]:
        """What the links in `bin` lead to."""
        for link in (self.folder / "bin").glob("*"):
            if link.is_symlink():
                yield Path(os.path.normpath(link.parent / link.readlink()))

    def _running(self) -> Iterator[Path]:
        """Programs that run, and environments whose Python does: its first argument tells."""
        for process in self.processes.glob("[0-9]*"):
            try:
                yield (process / "exe").readlink()
                for word in (process / "cmdline").read_bytes().split(b"\0")[:2]:
                    yield Path(os.fsdecode(word))
            except OSError:
                continue  # it has ended


def _used(path: Path) -> float:
    """When a path was made or, of a Python environment, last started: seconds since 1970."""
    times = [path.lstat().st_mtime]
    settings = path / "pyvenv.cfg"
    if settings.is_file():
        times.append(settings.stat().st_atime)
    return max(times)
