"""Programs in Python that the engine has the language host start for it, above all policy packs."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Literal

Stream = Literal["stdout", "stderr"]
CHUNK_BYTES = 64 * 1024


def start(program: str, arguments: Sequence[str], folder: str, environment: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a program in this Python. `environment` holds `NAME=value`, of which the last of a name counts."""
    variables = dict(item.split("=", 1) for item in environment if "=" in item)
    return subprocess.Popen(
        # Unbuffered: the engine waits for the line in which a plugin says where it listens.
        [sys.executable, "-u", program, *arguments],
        cwd=folder or None,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def outputs(process: subprocess.Popen[bytes]) -> Iterator[tuple[Stream, bytes]]:
    """What a process writes, as it writes it, until it has closed both of its streams."""
    assert process.stdout is not None
    assert process.stderr is not None
    written: queue.SimpleQueue[tuple[Stream, bytes]] = queue.SimpleQueue()
    streams: dict[Stream, IO[bytes]] = {"stdout": process.stdout, "stderr": process.stderr}
    for name, stream in streams.items():
        threading.Thread(target=_pump, args=(name, stream, written), daemon=True).start()
    left = len(streams)
    while left:
        name, output = written.get()
        if output:
            yield name, output
        else:
            left -= 1


def _pump(name: Stream, stream: IO[bytes], written: "queue.SimpleQueue[tuple[Stream, bytes]]") -> None:
    """Hand on what arrives; nothing at all says that the stream has ended."""
    while output := os.read(stream.fileno(), CHUNK_BYTES):
        written.put((name, output))
    stream.close()
    written.put((name, b""))
