"""Free space on the disks that the platform writes to, with a warning while there is time to free some."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.health import Check
from settings import Paths

_GIB = 2**30
# Below this a job of a branch ends (RUNNER_DISK_RESERVE_GIB of apps/runner-controller/pools/cpu); at half of it the
# kubelet evicts pods (evictionHard of infra/ansible/roles/kubernetes), Argo CD's and the models' too.
FULL_GIB = 4
# One training with a changed environment from there.
LOW_GIB = 12
# The kubelet evicts at 2 %.
_FULL_INODES = 3
_LOW_INODES = 8


@dataclass(frozen=True)
class Room:
    """A file system: bytes and inodes in all and free; it may have no number of inodes (0)."""

    total: int
    free: int
    inodes: int
    free_inodes: int


def judge(names: list[str], path: Path, room: Room) -> Check:
    """What a file system's room means for the platform's `names` on it."""
    free, inodes = room.free / _GIB, 100 * room.free_inodes / room.inodes if room.inodes else 100.0
    detail = f"{path}: {free:.1f} of {room.total / _GIB:.0f} GiB free" + (
        f", {inodes:.0f} % of its inodes" if inodes < _LOW_INODES else ""
    )
    name = f"disk of {', '.join(names)}"
    fix = (
        f"free some: jobs end below {FULL_GIB} GiB, and below {FULL_GIB // 2} GiB pods are evicted. "
        f"scripts/prune --to-size 0 removes what is unused, and du -xh --max-depth=2 {path} shows what is large"
    )
    if free < FULL_GIB or inodes < _FULL_INODES:
        return Check(name, False, detail, fix)
    low = free < LOW_GIB or inodes < _LOW_INODES
    return Check(name, True, f"{detail}: it is filling up" if low else detail, fix if low else "")


def folders(paths: Paths) -> dict[str, Path]:
    """What grows, by the name that people know it by; each may be a disk of its own."""
    return {
        "state": paths.state,
        "containers": paths.state / "containerd",
        "pods": paths.state / "kubelet",
        "cache": paths.cache,
        "jobs' cache": paths.cache / "runner",
    }


def room(path: Path) -> Room:
    """The file system that a path is on."""
    usage, status = shutil.disk_usage(path), os.statvfs(path)
    return Room(usage.total, usage.free, status.f_files, status.f_favail)


def checks(places: Mapping[str, Path], look: Callable[[Path], Room] = room) -> list[Check]:
    """A check for each file system that holds some of these; what does not exist yet needs no room."""
    found: dict[int, tuple[Path, list[str]]] = {}
    for name, path in places.items():
        if path.exists():
            found.setdefault(path.stat().st_dev, (path, []))[1].append(name)
    return [judge(names, path, look(path)) for path, names in found.values()]
