"""One verb at a time may change the platform of a host."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.failure import Failure

# A host has one platform, whatever its state directory, so the lock belongs to the host. /run is emptied at boot. The
# folder is root's alone, so nobody else can put a link in the file's place or hold the lock.
PATH = Path("/run/ml-platform-lock/lock")
# Where commands of older checkouts look for the lock, in a folder that everybody may write.
_FORMER = Path("/run/lock/ml-platform.lock")
# Names the process that holds the lock for all verbs that it starts.
_SESSION = "ML_PLATFORM_LOCK_SESSION"


@contextmanager
def held(verb: str, path: Path | None = None) -> Iterator[None]:
    """Hold the host's lock. Raises Failure naming the verb and the process that has it.

    The kernel drops the lock with its process, so one left by a killed run never blocks the next. A verb that the
    holder of `session` starts takes a second lock, so that verbs inside a session exclude each other too.
    """
    path = path or PATH
    inner = os.environ.get(_SESSION, "none") == _holder(path)[0]
    if inner:
        path = path.with_name(f"{path.name}.inner")
    descriptor = _acquire(path)
    former = None
    try:
        _name(descriptor, verb)
        former = None if inner or path != PATH else _former(verb)
        yield
    finally:
        if former is not None:
            _FORMER.unlink(missing_ok=True)
            os.close(former)
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def session(verb: str, path: Path | None = None) -> Iterator[None]:
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


def _name(descriptor: int, verb: str) -> None:
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} scripts/{verb}\n".encode())


def _refused(path: Path) -> Failure:
    pid, verb = _holder(path)
    return Failure(
        f"{verb or 'another verb'} (process {pid or 'unknown'}) is changing the platform",
        f"wait until it ends, or stop it (kill {pid or '<pid>'}), then run this again",
    )


def _acquire(path: Path) -> int:
    while True:
        try:
            folder = _folder(path.parent)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                descriptor = os.open(path.name, flags, 0o600, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            fix = "remove it" if error.errno in {errno.ELOOP, errno.ENOTDIR} else "run it as root"
            raise Failure(f"{path}: cannot be written ({error.strerror})", fix) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _refused(path) from None
        if _is_same(descriptor, path):
            return descriptor
        # Its holder removed the file between our open and our lock: what we hold is a file that nobody else sees.
        os.close(descriptor)


def _folder(path: Path) -> int:
    """The lock's folder, which only this user may enter. Raises OSError, and Failure where it is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        os.close(descriptor)
        raise Failure(f"{path}: is not this user's alone, so others could hold the lock", f"remove {path}")
    return descriptor


def _former(verb: str) -> int | None:
    """Hold the lock of older checkouts too. Raises Failure where one of their verbs runs.

    Everybody may hold that one: only a file of our own counts, and only when the process that it names is ours too.
    """
    try:
        descriptor = os.open(_FORMER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None  # a link, or a folder
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        os.close(descriptor)
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        pid = _holder(_FORMER)[0]
        if pid.isdigit() and _is_mine(Path("/proc", pid)):
            raise _refused(_FORMER) from None
        return None
    _name(descriptor, verb)
    return descriptor


def _is_mine(process: Path) -> bool:
    try:
        return process.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
