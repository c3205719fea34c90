"""Run a program for a tool: its output goes to the tool's log, its failure becomes a ToolchainError."""

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.errors import Cancelled, ToolchainError

_TAIL_LINES = 20
_GRACE_SECONDS = 5.0


@dataclass
class Commands:
    """Starts programs, each in a process group of its own, and can stop them all with what they started."""

    logs: Path
    cancelled: threading.Event = field(default_factory=threading.Event)
    _running: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self,
        log: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str],
        fix: str = "",
    ) -> str:
        """Run `command` in `folder` and return its stdout. Its stderr, and how it was called, go to `<logs>/<log>.log`.

        Raises ToolchainError with the log's last lines when it fails, Cancelled when it was stopped.
        """
        words = [str(word) for word in command]
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{log}.log"
        with path.open("ab") as file:
            file.write(f"$ {' '.join(words)}\n".encode())
            file.flush()
            with self._guard:
                if self.cancelled.is_set():
                    raise Cancelled
                try:
                    process = subprocess.Popen(
                        words,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=file,
                        cwd=folder,
                        env=dict(environment),
                        start_new_session=True,
                    )
                except OSError as error:
                    raise ToolchainError(f"{words[0]} cannot be started ({error.strerror})", fix) from None
                self._running.add(process)
            try:
                out, _ = process.communicate()
            finally:
                with self._guard:
                    self._running.discard(process)
        if self.cancelled.is_set() and process.returncode:
            raise Cancelled
        if process.returncode:
            with path.open("ab") as file:
                file.write(out)
            with path.open(encoding="utf-8", errors="replace") as text:
                tail = tuple(line.rstrip() for line in deque(text, maxlen=_TAIL_LINES))
            how = f"exit status {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
            raise ToolchainError(
                f"{log}: {Path(words[0]).name} {words[1] if len(words) > 1 else ''} failed ({how})",
                fix or f"see {path}, then run it again: it goes on from where it was",
                tail,
            )
        return out.decode(errors="replace")

    def cancel(self) -> None:
        """Stop every program that runs, and start no more."""
        self.cancelled.set()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self._guard:
                running = list(self._running)
            for process in running:
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    continue
            for process in running:
                try:
                    process.wait(_GRACE_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
