"""Where installed tools lie: one folder a tool and version, made aside and put in place by a rename."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.manifest import Tool

# In each installed folder: what it was made from, and how. It comes with the rename, so its folder is whole.
STAMP = ".installed.json"


@dataclass(frozen=True)
class Store:
    """`<cache>/tools/<tool>/<version>/` and the links in `<cache>/bin`."""

    tools: Path
    bin: Path

    def folder(self, tool: Tool) -> Path:
        return self.tools / tool.name / tool.version

    def source(self, tool: Tool) -> str | None:
        """How the installed copy was obtained (`release` or `build`); None when there is none made from this recipe."""
        try:
            stamp = json.loads((self.folder(tool) / STAMP).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = all((self.folder(tool) / binary).is_file() for binary in tool.binaries)
        return stamp["source"] if whole and stamp.get("recipe") == tool.recipe else None

    @contextmanager
    def locked(self, tool: Tool, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the tool's lock, so that two processes never make it twice. The kernel drops it with its process.

        While another process has it, `waiting` is called before each new try: it pauses, or raises to give up.
        Raises ToolchainError where the cache cannot be written.
        """
        path = self.tools / tool.name / ".lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ToolchainError(
                f"{path}: cannot be written ({error.strerror})",
                "run it as root, or set ML_PLATFORM_CACHE_DIR to a directory that you can write",
            ) from None
        try:
            while not _acquired(descriptor):
                waiting()
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def staging(self, tool: Tool, source: Callable[[], str]) -> Iterator[Path]:
        """A fresh folder that becomes the installed copy when the block ends well, and goes away when it does not.

        Whoever looks meanwhile sees the old copy or none, never half of the new one. The tool's lock must be held.
        """
        parent = self.tools / tool.name
        for left in [*parent.glob(".new-*"), *parent.glob(".old-*")]:
            shutil.rmtree(left)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
        try:
            yield fresh
            fresh.chmod(0o755)
            stamp = {"recipe": tool.recipe, "source": source(), "version": tool.version}
            (fresh / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
            # A power cut after the rename must not leave files that were never written out.
            _sync(fresh)
            self._replace(self.folder(tool), fresh)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @staticmethod
    def _replace(target: Path, fresh: Path) -> None:
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=".old-", dir=target.parent))
            target.rename(old / target.name)
            fresh.rename(target)
            shutil.rmtree(old)
        else:
            fresh.rename(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def link(self, binaries: Mapping[str, Path]) -> None:
        """Point `<cache>/bin/<binary>` at each file. A link is replaced at once, never missing for a moment."""
        self.bin.mkdir(parents=True, exist_ok=True)
        for name, path in binaries.items():
            link = self.bin / name
            if link.is_symlink() and link.readlink() == path:
                continue
            fresh = self.bin / f".{name}.{os.getpid()}"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(path)
            fresh.replace(link)


def _acquired(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(folder: Path) -> None:
    """Write the folder's large files out to the disk. Its many small ones (templates) cost more than they are worth."""
    for path in folder.iterdir():
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
