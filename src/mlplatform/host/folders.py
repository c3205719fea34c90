"""The platform's own folders on a host: how they are told from anybody else's, and what of them a purge deletes.

A folder is the platform's where it holds the marker that the platform wrote, where the host's record names it, or, for
one made before there were markers, where everything in it is the platform's and its surest sign is there. Of such a
folder only the entries that the platform makes are ever deleted; whatever else lies in it stays.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from settings import SettingsError

# Written by Ansible before it changes a host: whose platform this is and what the host was like.
RECORD = Path("/etc/ml-platform.json")
_MOUNTS = Path("/proc/self/mountinfo")
# What a file system itself keeps at its top.
_NOBODYS = frozenset({"lost+found"})


@dataclass(frozen=True)
class Kind:
    """A kind of folder: the marker's name, what the platform makes in it, and the sign of one without a marker."""

    name: str
    variable: str
    entries: frozenset[str]
    sign: str

    @property
    def marker(self) -> str:
        """The file that says that the platform made the folder."""
        return f".ml-platform-{self.name}"


STATE = Kind(
    "state",
    "ML_PLATFORM_STATE_DIR",
    frozenset(
        {
            "argocd",
            "aws",
            "containerd",
            "etcd",
            "first-push.json",
            "gitea",
            "host",
            "images.json",
            "kubelet",
            "kubernetes",
            "logs",
            "object-store",
            "pulumi",
            "registry",
            "secrets",
            "supervisor",
            "trusted-on-first-use.json",
            "up.json",
        }
    ),
    "secrets/pulumi-passphrase",
)
CACHE = Kind(
    "cache",
    "ML_PLATFORM_CACHE_DIR",
    frozenset({"bin", "bootstrap", "go", "images", "logs", "pulumi", "runner", "tools", "uv", "venvs"}),
    "venvs",
)


def own(folder: Path, kind: Kind) -> list[Path]:
    """What the platform made in a folder, its marker apart."""
    return [path for path in _entries(folder) if path.name in kind.entries]


def foreign(folder: Path, kind: Kind) -> list[Path]:
    """What somebody else put into a folder, hidden files too."""
    known = kind.entries | _NOBODYS | {kind.marker}
    return [path for path in _entries(folder) if path.name not in known]


def is_ours(folder: Path, kind: Kind, record: Path = RECORD) -> bool:
    """Whether a folder is certainly the platform's."""
    if (folder / kind.marker).is_file():
        return True
    if kind is STATE and str(folder) == _recorded(record):
        return True
    return (folder / kind.sign).exists() and not foreign(folder, kind)


def claim(folder: Path, kind: Kind, record: Path = RECORD) -> None:
    """Mark a folder as the platform's, and make it where there is none. Raises SettingsError for somebody else's."""
    if (folder / kind.marker).is_file():
        return
    if not is_ours(folder, kind, record) and (others := foreign(folder, kind)):
        raise SettingsError(
            f"{kind.variable}: {folder} holds what is not the platform's ({_some(others)});"
            " set it to an empty folder, or to one that does not exist"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / kind.marker).write_text(f"The {kind.name} of the ML platform; scripts/down --purge deletes it.\n")
    except OSError as error:
        raise SettingsError(f"{kind.variable}: {folder} cannot be written ({error.strerror})") from None


def refuse_missing(folder: Path, record: Path = RECORD) -> None:
    """Raise SettingsError where the host's record names a state directory that is empty: its disk is not mounted."""
    if str(folder) == _recorded(record) and not own(folder, STATE) and not (folder / STATE.marker).exists():
        raise SettingsError(
            f"{STATE.variable}: {folder} is empty, but {record} says that the data of this host's platform is there;"
            " mount its disk. If the data is gone for good, run scripts/down --purge, which forgets it"
        )


def refuse_foreign(folder: Path, kind: Kind, record: Path = RECORD) -> None:
    """Raise SettingsError where deleting the platform's part of a folder could take what is not the platform's."""
    if not own(folder, kind) and not (folder / kind.marker).exists():
        return
    if not is_ours(folder, kind, record):
        raise SettingsError(
            f"{kind.variable}: nothing shows that {folder} is the platform's: it has no {kind.marker}, and"
            f" {_some(foreign(folder, kind) or own(folder, kind))} in it may be somebody else's; nothing was deleted."
            " Correct the variable, or delete by hand what you know to be the platform's"
        )


def mounts_in(folder: Path, apart: frozenset[str] = frozenset(), table: str | None = None) -> list[str]:
    """What is mounted on folders below this one, without those below its entries in `apart`."""
    root = os.path.realpath(folder)
    text = _MOUNTS.read_text(encoding="utf-8") if table is None else table
    # The kernel writes space, tab, newline and backslash in octal.
    points = [
        re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4]) for line in text.splitlines()
    ]
    below = [point for point in points if point.startswith(f"{root}/")]
    return [point for point in below if point.removeprefix(f"{root}/").partition("/")[0] not in apart]


def refuse_mounts(folder: Path, apart: frozenset[str] = frozenset()) -> None:
    """Raise SettingsError where something is mounted below a folder: its data would not go with the folder."""
    if found := mounts_in(folder, apart):
        raise SettingsError(
            f"{', '.join(found)}: is mounted inside {folder}, so deleting that would not delete what is on it;"
            " nothing was deleted. Unmount it (umount), then run this again"
        )


def prepare_purge(folder: Path, kind: Kind) -> bool:
    """Mark a folder that is the platform's, so that it stays known when the host's record has gone before it.

    Returns whether there is anything to delete. Raises SettingsError for somebody else's.
    """
    refuse_foreign(folder, kind)
    if not is_ours(folder, kind):
        return False
    if folder.is_dir():
        claim(folder, kind)
    return folder.is_dir()


def purge(folder: Path, kind: Kind) -> list[Path]:
    """Delete what the platform made in a folder, then the folder; returns what of it is still there.

    What is not the platform's stays, and so does a folder that is a mount or that a link leads to.
    Raises SettingsError.
    """
    if not prepare_purge(folder, kind):
        return []
    refuse_mounts(folder)
    for path in own(folder, kind):
        try:
            # Never through a link: a link itself goes, not what it leads to.
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise SettingsError(
                f"{error.filename}: cannot be deleted ({error.strerror}); the rest of {folder} is still there."
                f" Remove {path} by hand, then run this again"
            ) from None
    left = foreign(folder, kind)
    # Last, so that an interrupted purge is known again.
    (folder / kind.marker).unlink(missing_ok=True)
    if not left and not folder.is_symlink() and not folder.is_mount() and not _entries(folder):
        if folder.is_dir():
            folder.rmdir()
        return []
    return left


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _recorded(record: Path) -> str:
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["state_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _some(paths: list[Path]) -> str:
    names = [path.name for path in paths]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
