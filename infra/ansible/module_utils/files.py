"""Reading and writing files as root in folders where others may write, too.

A crash leaves the old file or the new one, never half of it. A link is followed only where nobody but root (or who runs
this) could have put it: an account of a service must not lead root to another file by a link in the service's folder.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_LINKS = 40


def write_atomically(path: Path, text: str, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` by `text`, flushed to the disk before it takes the name. `owner` is a user and a group.

    Raises OSError.
    """
    folder = open_folder(path.parent)
    temporary = f".{path.name}.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "w") as handle:
                handle.write(text)
                handle.flush()
                # The owner first: a change of the owner takes bits of the mode away.
                if owner is not None:
                    os.fchown(handle.fileno(), *owner)
                os.fchmod(handle.fileno(), mode)
                os.fsync(handle.fileno())
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise
    finally:
        os.close(folder)


def open_file(path: Path) -> int | None:
    """A descriptor to read a file, None where there is none. Raises OSError for a link and what is no plain file."""
    try:
        folder = open_folder(path.parent)
    except FileNotFoundError:
        return None
    try:
        descriptor = os.open(path.name, os.O_RDONLY | _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link(path) from None
        raise
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file; remove it, then run this again", str(path))
    return descriptor


def open_folder(path: Path) -> int:
    """A descriptor of a directory, past no link that somebody else could have made. Raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | _FLAGS
    here = os.open("/", flags)
    left, links = list(reversed(path.absolute().parts[1:])), 0
    try:
        while left:
            name = left.pop()
            try:
                below = os.open(name, flags, dir_fd=here)
            except OSError as error:
                # The kernel says of a link that it is no directory.
                if error.errno not in {errno.ELOOP, errno.ENOTDIR} or (target := _target(name, here)) is None:
                    error.filename = str(path)
                    raise
                links += 1
                if links > _MOST_LINKS or not _is_trusted(here):
                    raise _link(path) from None
                left += list(reversed(Path(target).parts))
                if target.startswith("/"):
                    left.pop()
                    below = os.open("/", flags)
                else:
                    continue
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _target(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def _is_trusted(folder: int) -> bool:
    status = os.fstat(folder)
    return status.st_uid in {0, os.geteuid()} and not status.st_mode & 0o022


def _link(path: Path) -> OSError:
    return OSError(
        errno.ELOOP,
        "leads through a link that others could set; remove the link or name the place that it leads to",
        str(path),
    )
