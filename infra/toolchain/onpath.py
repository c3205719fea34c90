"""Tools that the machine already has: on PATH, in an accepted version."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from toolchain import versions
from toolchain.manifest import Tool

_ANSWER_SECONDS = 20


class OnPath:
    """Finds tools on PATH. Answers are remembered by the file's identity, so that a second look asks nobody."""

    def __init__(self, memory: Path, ignored: Iterable[Path], search: str | None = None) -> None:
        """`memory` is the file that keeps answers; folders in `ignored` (our own) are no places to find a tool in."""
        self._memory = memory
        skipped = {folder.resolve() for folder in ignored}
        folders = (search if search is not None else os.environ.get("PATH", os.defpath)).split(os.pathsep)
        self._search = os.pathsep.join(folder for folder in folders if folder and Path(folder).resolve() not in skipped)
        self._answers = self._recall()

    def find(self, tool: Tool) -> tuple[versions.Version, dict[str, Path]] | None:
        """The tool's version and its binaries, when all are there in the same, accepted version."""
        if not tool.accepts:
            return None
        found: dict[str, Path] = {}
        seen: set[versions.Version] = set()
        for binary in tool.binaries:
            place = shutil.which(binary, path=self._search)
            if place is None:
                return None
            version = self._version(Path(place).absolute(), tool.arguments_for_version(binary))
            if version is None or not versions.accepts(tool.accepts, version):
                return None
            found[binary] = Path(place).absolute()
            seen.add(version)
        return (seen.pop(), found) if len(seen) == 1 else None

    def _version(self, path: Path, arguments: tuple[str, ...]) -> versions.Version | None:
        status = path.stat()
        identity = f"{path} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
        if identity not in self._answers:
            answer = _ask(path, arguments)
            if answer is None:
                return None
            self._answers[identity] = answer
            self._remember()
        return versions.parse(self._answers[identity])

    def _recall(self) -> dict[str, str]:
        try:
            answers = json.loads(self._memory.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return answers if isinstance(answers, dict) else {}

    def _remember(self) -> None:
        fresh = self._memory.with_name(f"{self._memory.name}.{os.getpid()}")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(self._answers, indent=1), encoding="utf-8")
            fresh.replace(self._memory)
        except OSError:
            pass  # Only speed is lost.


def _ask(path: Path, arguments: tuple[str, ...]) -> str | None:
    """What the program says of its version, empty when it fails; None when it did not answer in time."""
    try:
        answer = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
        )
    except OSError:
        return ""
    except subprocess.TimeoutExpired:
        return None
    return (answer.stdout or answer.stderr) if answer.returncode == 0 else ""
