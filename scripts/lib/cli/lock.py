"""One verb at a time may change the platform of a host."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.failure import Failure

# A host has one platform, whatever its state directory, so the lock belongs to the host. /run/lock is emptied at boot.
PATH = Path("/run/lock/ml-platform.lock")


@contextmanager
def held(verb: str, path: Path = PATH) -> Iterator[None]:
    """Hold the host's lock. Raises Failure naming the verb and the process that has it.

    The kernel drops the lock with its process, so one left by a killed run never blocks the next.
    """
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} scripts/{verb}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Failure(f"{path}: cannot be written ({error.strerror})", "run it as root") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            pid, _, verb = holder.partition(" ")
            raise Failure(
                f"{verb or 'another verb'} (process {pid or 'unknown'}) is changing the platform",
                f"wait until it ends, or stop it (kill {pid or '<pid>'}), then run this again",
            ) from None
        if _is_same(descriptor, path):
            return descriptor
        # Its holder removed the file between our open and our lock: what we hold is a file that nobody else sees.
        os.close(descriptor)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
