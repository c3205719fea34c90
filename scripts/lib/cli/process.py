"""Run a command: its output goes to a log file as it comes, its failure becomes a Failure, and it dies with us."""

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from cli.failure import Failure

TAIL_LINES = 30
_GRACE_SECONDS = 20.0

_running: set[subprocess.Popen[str]] = set()
_guard = threading.Lock()
_cancelled = threading.Event()


class Cancelled(Failure):
    """The command was not run, or was stopped, because another step failed or the user interrupted."""

    def __init__(self) -> None:
        super().__init__("stopped because another step failed")


def stream(
    command: Sequence[str | Path],
    log: IO[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    fix: str = "",
) -> str:
    """Run `command`, copy its output to `log` line by line and return its last lines.

    `environment` replaces the whole environment. Raises Failure, with the log's tail, when it cannot start or exits
    non-zero, and Cancelled after `cancel_all`.
    """
    words = [str(word) for word in command]
    log.write(f"$ {shlex.join(words)}\n")
    log.flush()
    try:
        with _guard:
            if _cancelled.is_set():
                raise Cancelled
            process = subprocess.Popen(
                _dying_with_us(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=environment,
                cwd=folder,
                # Its own process group: Ctrl-C reaches it through cancel_all, once, and with it whatever it started.
                start_new_session=True,
            )
            _running.add(process)
    except OSError as error:
        raise Failure(f"{words[0]} cannot be started: {error.strerror}", fix) from None
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                log.write(line)
                log.flush()
                text = line.rstrip()
                tail.append(text)
                if on_line:
                    on_line(text)
        code = process.wait()
    finally:
        with _guard:
            _running.discard(process)
    if _cancelled.is_set() and code:
        raise Cancelled
    if code:
        name = Path(words[0]).name
        how = f"was killed by signal {-code}" if code < 0 else f"failed (exit status {code})"
        raise Failure(f"{name} {how}", fix, tuple(tail))
    return "\n".join(tail)


def output(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text: str | None = None,
    timeout: float = 60,
    fix: str = "",
) -> str:
    """Run a short command (`text` on its stdin) and return its stdout. Raises Failure with its stderr."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, input=text or "", capture_output=True, text=True, env=environment, cwd=folder, timeout=timeout
        )
    except OSError as error:
        raise Failure(f"{words[0]} cannot be started: {error.strerror}", fix) from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex.join(words)} did not end within {timeout:.0f} s", fix) from None
    if done.returncode:
        lines = tuple(done.stderr.strip().splitlines()[-TAIL_LINES:])
        said = lines[-1] if lines else f"exit status {done.returncode}"
        raise Failure(f"{Path(words[0]).name} failed: {said}", fix, lines)
    return done.stdout


def cancel_all() -> None:
    """Stop every running command: SIGINT first, which lets Pulumi and Ansible tidy up, then harder."""
    _cancelled.set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in _unfinished():
            _signal_group(process.pid, number)
        while _unfinished() and time.monotonic() < deadline:
            time.sleep(0.1)


def _unfinished() -> list[subprocess.Popen[str]]:
    """Commands whose output is still open: the command itself, or something it left in its process group, lives."""
    with _guard:
        return list(_running)


def reset() -> None:
    """Allow commands again after `cancel_all`."""
    _cancelled.clear()


def is_cancelled() -> bool:
    """Whether `cancel_all` was called."""
    return _cancelled.is_set()


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _dying_with_us(words: list[str]) -> list[str]:
    """Have the kernel end the command when this process is killed outright, so that a rerun never meets its remains.
    SIGINT stops it also where this process runs in the background of a script, whose children ignore that signal."""
    setpriv = shutil.which("setpriv")
    if not setpriv:
        return words
    return [setpriv, "--pdeathsig", "TERM", "--", "env", "--default-signal=INT", *words]
