"""Tools and ports for the services that tests start."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

Value = TypeVar("Value")


def tool(name: str) -> str:
    """The path of a tool that this project built."""
    path = Path(os.environ.get("ML_PLATFORM_CACHE_DIR", "/var/cache/ml-platform")) / "bin" / name
    if not path.exists():
        raise AssertionError(f"{path} is missing: run `scripts/test`, which builds the tools first")
    return str(path)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service in `folder` until the block ends; raises AssertionError with its log when it does not get ready."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
    try:
        deadline = time.monotonic() + 90
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command[0]} is not ready:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(
    command: Sequence[str], folder: Path, variables: dict[str, str], url: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a service in `folder` with PATH and `variables` until the block ends, from when it answers on `url`."""

    def answers() -> bool:
        try:
            # Any answer will do: a store refuses an anonymous request, but it is there.
            return httpx.get(url, timeout=5).status_code < 500
        except httpx.TransportError:
            return False

    with running(command, folder / "stdout", answers, {"PATH": os.environ["PATH"], **variables}, folder) as process:
        yield process


def eventually(probe: Callable[[], Value | None], what: str, seconds: float = 20) -> Value:
    """The first true value of `probe`; raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
