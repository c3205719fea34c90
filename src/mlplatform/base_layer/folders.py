"""Folders that are made once and never changed: each has its manifest beside it, written last, so that it is whole.

One maker works at a time; the kernel lets go of its lock however it ends, and what it left without a manifest is
removed by the next.
"""

import fcntl
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlplatform.base_layer import manifest

DAY = 24 * 3600
# How long what main names no more is kept, for branches that still do.
KEPT_SECONDS = 14 * DAY
_SCRATCH = ".making"
_SUFFIX = ".json"


class BaseLayerError(Exception):
    """What jobs share cannot be made or used; the message says what to do."""


def say(text: str) -> None:
    """A line of a job's log."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Folders:
    """The whole folders in one."""

    root: Path

    @property
    def scratch(self) -> Path:
        """A folder on the same mount for whoever is `alone`, gone with it."""
        return self.root / _SCRATCH

    def find(self, name: str) -> Path | None:
        """A whole folder."""
        return self.root / name if self.manifest(name).is_file() else None

    def manifest(self, name: str) -> Path:
        """Where a folder's manifest lies."""
        return self.root / f"{name}{_SUFFIX}"

    def names(self) -> list[str]:
        """The names of all whole folders, the newest first."""
        found = sorted(self.root.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        return [path.name.removesuffix(_SUFFIX) for path in found]

    def check(self) -> dict[str, list[str]]:
        """Hold every folder against its manifest, remove those that differ and say how, by name."""
        with self.alone():
            found = {}
            for name in sorted(self.names()):
                try:
                    wrong = manifest.problems(self.root / name, manifest.read(self.manifest(name)))
                except (OSError, ValueError) as error:
                    wrong = [str(error)]
                if wrong:
                    found[name] = wrong
                    self.remove(name)
            return found

    def forget(self, named: Iterable[str], seconds: float = KEPT_SECONDS) -> list[str]:
        """Remove folders that were not among `named` for so long, by this function's own calls; returns their names.

        The manifest's time of change says when its folder was named last, for whoever made it named it then.
        """
        with self.alone():
            wanted = set(named)
            removed = []
            for name in sorted(self.names()):
                if name in wanted:
                    os.utime(self.manifest(name))
                elif time.time() - self.manifest(name).stat().st_mtime > seconds:
                    self.remove(name)
                    removed.append(name)
            return removed

    def remove(self, name: str) -> None:
        """Remove a folder: first what says that it is whole."""
        self.manifest(name).unlink(missing_ok=True)
        _remove(self.root / name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other makers out, and begin without what one left that was killed."""
        self.root.mkdir(parents=True, exist_ok=True)
        # Whoever can open a file can lock it, also where he cannot write; so nobody may open it for reading.
        with os.fdopen(os.open(self.root / ".lock", os.O_WRONLY | os.O_CREAT, 0o200), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another maker works on {self.root.name}: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._tidy()
            try:
                yield
            finally:
                _remove(self.scratch)

    def _tidy(self) -> None:
        for path in self.root.iterdir():
            if path.name == _SCRATCH or (path.is_dir() and not self.manifest(path.name).exists()):
                _remove(path)


def freeze(folder: Path) -> None:
    """Take away the right to write, so that nothing is changed by mistake."""
    for top, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(top, name)
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~0o222)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        for top, folders, _ in os.walk(path):
            Path(top).chmod(0o700)
            for name in folders:
                if not Path(top, name).is_symlink():
                    Path(top, name).chmod(0o700)
        shutil.rmtree(path)
