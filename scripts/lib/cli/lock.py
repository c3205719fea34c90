"""One verb at a time may change the platform of a host."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.failure import Failure

# A host has one platform, whatever its state directory, so the lock belongs to the host. /run/lock is emptied at boot.
PATH = Path("/run/lock/ml-platform.lock")
# Names the process that holds the lock for all verbs that it starts.
_SESSION = "ML_PLATFORM_LOCK_SESSION"


@contextmanager
def held(verb: str, path: Path = PATH) -> Iterator[None]:
    """Hold the host's lock. Raises Failure naming the verb and the process that has it.

    The kernel drops the lock with its process, so one left by a killed run never blocks the next. A verb that the
    holder of `session` starts takes a second lock, so that verbs inside a session exclude each other too.
    """
    if os.environ.get(_SESSION, "none") == _holder(path)[0]:
        path = path.with_name(f"{path.name}.inner")
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} scripts/{verb}\n".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def session(verb: str, path: Path = PATH) -> Iterator[None]:
    """Hold the host's lock while this process runs verbs one after the other. Raises Failure like `held`."""
    with held(verb, path):
        os.environ[_SESSION] = str(os.getpid())
        try:
            yield
        finally:
            del os.environ[_SESSION]


def _holder(path: Path) -> tuple[str, str]:
    """Process and verb that a lock file names, both empty when there is none."""
    try:
        pid, _, verb = path.read_text(encoding="utf-8").strip().partition(" ")
    except OSError:
        return "", ""
    return pid, verb


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
            os.close(descriptor)
            pid, verb = _holder(path)
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
