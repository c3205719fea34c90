"""How much memory the platform takes: its services on the host and its pods."""

from dataclasses import dataclass
from pathlib import Path

# What the platform's processes descend from: the supervisor of its services, and one shim a pod. The services that
# systemd would run are children of PID 1, so they are known by name.
_ROOTS = ("supervisord", "containerd-shim")
_SERVICES = ("containerd", "kubelet", "kube-router", "versitygw", "docker-registry", "gitea")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; `name` has the 15 characters that the kernel keeps."""

    pid: int
    parent: int
    name: str


def used(proc: Path = Path("/proc")) -> int:
    """Bytes of memory of the platform's processes; a page shared by several counts in parts."""
    return sum(_proportional(proc / str(one.pid)) for one in of_platform(_processes(proc)))


def of_platform(processes: list[Process]) -> list[Process]:
    """Those of `processes` that belong to the platform."""
    by_pid = {one.pid: one for one in processes}
    return [one for one in processes if _belongs(one, by_pid)]


def _belongs(process: Process, by_pid: dict[int, Process]) -> bool:
    if process.name in _SERVICES and process.parent == 1:
        return True
    seen: set[int] = set()
    current: Process | None = process
    while current and current.pid not in seen:
        if current.name.startswith(_ROOTS):
            return True
        seen.add(current.pid)
        current = by_pid.get(current.parent)
    return False


def _processes(proc: Path) -> list[Process]:
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            head, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        found.append(Process(int(folder.name), int(rest.split()[1]), head.partition("(")[2]))
    return found


def _proportional(folder: Path) -> int:
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
