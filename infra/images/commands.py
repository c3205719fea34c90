"""Runs the programs that make images, so that a failure reads as one message and nothing outlives the run."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Lock

from images.errors import ImageError

TAIL = 15
STOP_SECONDS = 10

_running: set[subprocess.Popen[bytes]] = set()
_lock = Lock()
_stopped = Event()


def run(
    command: Sequence[str],
    what: str,
    *,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a command in a process group and a mount namespace of its own, so that its children and mounts go with it.

    Returns its output, which with `log` goes there instead. `environment` adds to ours; `folder` is where it runs.
    It inherits the lock of the image store (the one descriptor that is inheritable), so that the orphan of a killed
    run still counts as a run. Raises ImageError with the last lines of output.
    """
    isolated = ["unshare", "--mount", "--propagation", "private", *command] if log else list(command)
    stream = log.open("ab") if log else None
    try:
        with _lock:
            if _stopped.is_set():
                raise ImageError(f"{what}: stopped")
            process = subprocess.Popen(
                isolated,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream or subprocess.PIPE,
                stderr=subprocess.STDOUT if stream else subprocess.PIPE,
                start_new_session=True,
                close_fds=False,
            )
            _running.add(process)
    except FileNotFoundError:
        raise ImageError(f"{command[0]}: is not installed; scripts/up installs it (a Debian package)") from None
    finally:
        if stream:
            stream.close()
    try:
        output, errors = process.communicate()
    finally:
        _running.discard(process)
    if process.returncode:
        seen = log.read_bytes() if log else errors or output
        last = "\n".join(f"    {line}" for line in seen.decode(errors="replace").strip().splitlines()[-TAIL:])
        where = f"; all it said: {log}" if log else ""
        raise ImageError(f"{what}: {Path(command[0]).name} failed (exit {process.returncode}{where}):\n{last}")
    return output.decode(errors="replace") if output else ""


def stop_all() -> None:
    """End what runs, children included, and start nothing more: first by asking, so that each can clean up."""
    with _lock:
        _stopped.set()
        processes = list(_running)
    for process in processes:
        _signal(process, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
