"""Runs the programs that make images, so that a failure reads as one message and nothing outlives the run."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from images.errors import ImageError

TAIL = 15


def run(
    command: Sequence[str],
    what: str,
    *,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """Run a command in a mount namespace of its own, which drops its mounts even if it is killed; return its output.

    With `log` its output goes there instead. `environment` adds to ours; `folder` is
    where it runs. The command inherits the lock of the image
    store (the one descriptor that is inheritable), so that an orphan of a killed run still counts as a run.
    Raises ImageError with the last lines of output.
    """
    isolated = ["unshare", "--mount", "--propagation", "private", *command] if log else list(command)
    variables = {**os.environ, **(environment or {})}
    try:
        if log is None:
            result = subprocess.run(
                isolated, env=variables, cwd=folder, capture_output=True, check=False, close_fds=False
            )
            output, seen = result.stdout, result.stderr or result.stdout
        else:
            with log.open("ab") as stream:
                result = subprocess.run(
                    isolated,
                    env=variables,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    check=False,
                    close_fds=False,
                )
            output, seen = b"", log.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{command[0]}: is not installed; scripts/up installs it (a Debian package)") from None
    if result.returncode:
        last = "\n".join(f"    {line}" for line in _text(seen).strip().splitlines()[-TAIL:])
        raise ImageError(f"{what}: {Path(command[0]).name} failed (exit {result.returncode}):\n{last}")
    return _text(output)


def _text(output: bytes) -> str:
    return output.decode(errors="replace")
