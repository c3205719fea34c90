"""Which processes and listening sockets of this host belong to the platform.

A process is the platform's when it is one of its services (by name, with a path of the platform among its arguments),
runs in a pod's control group, or descends from such a process. A path in an argument alone proves nothing: the
playbook that runs this very code carries the state directory on its command line.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SERVICES = frozenset(
    {
        "supervisord",
        "containerd",
        "containerd-shim-runc-v2",
        "kubelet",
        "kube-router",
        "docker-registry",
        "versitygw",
        "gitea",
    }
)
POD_GROUP = "/kubepods"
PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One row of the process table: `control_groups` is the text of `/proc/<pid>/cgroup`."""

    pid: int
    parent: int
    name: str
    arguments: tuple[str, ...]
    control_groups: str = ""

    @property
    def programs(self) -> set[str]:
        """The names it goes by: its own, its file's, and under Python its script's or module's."""
        names = {self.name, *(Path(argument).name for argument in self.arguments[:1])}
        if any(name.startswith("python") for name in names):
            names |= {Path(argument).name.rpartition(".")[2] for argument in self.arguments[1:3]}
        return names


def process_table(proc: Path = PROC) -> dict[int, Process]:
    """Every process by pid; those that end while the table is read are left out."""
    table = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            raw = (entry / "cmdline").read_bytes()
            groups = (entry / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        # The name is in brackets and may itself hold brackets and spaces.
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        if rest[0] == "Z":
            continue
        arguments = tuple(part.decode(errors="replace") for part in raw.split(b"\0") if part)
        table[int(entry.name)] = Process(int(entry.name), int(rest[1]), name, arguments, groups)
    return table


def is_service(process: Process, paths: Iterable[str]) -> bool:
    """Whether the process is one of the platform's services, its paths lying below one of `paths`."""
    if not process.programs & SERVICES:
        return False
    below = tuple(path.rstrip("/") + "/" for path in paths)
    return any(part.rpartition("=")[2].startswith(below) for part in process.arguments)


def in_pod(process: Process, base: str) -> bool:
    """Whether the process runs in a pod's control group below `base`."""
    groups = (line.split(":", 2)[-1] for line in process.control_groups.splitlines())
    return any(group.startswith(base + POD_GROUP) for group in groups)


def _own_group(table: dict[int, Process]) -> str:
    """The control group this machine lives in: not empty where the machine is itself a pod of another cluster."""
    first = table.get(1)
    groups = [line.split(":", 2)[-1] for line in first.control_groups.splitlines()] if first else []
    return max((group.rstrip("/") for group in groups if POD_GROUP in group), key=len, default="")


def owned(table: dict[int, Process], paths: Iterable[str], pods: bool = True) -> set[int]:
    """The pids of the platform's services, of pods, and of all that descends from them.

    With `pods` false only what its services started: on a host that does not carry the platform, pods are another's.
    """
    paths, base = list(paths), _own_group(table)
    roots = {pid for pid, one in table.items() if is_service(one, paths) or (pods and in_pod(one, base))}
    return roots | descendants(table, roots)


def descendants(table: dict[int, Process], roots: set[int]) -> set[int]:
    """Children, grandchildren and so on of `roots`, without the roots themselves."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    queue = list(roots)
    while queue:
        for child in children.get(queue.pop(), []):
            if child not in found and child not in roots:
                found.add(child)
                queue.append(child)
    return found


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket: `address` as text, `::` and `0.0.0.0` for every address."""

    address: str
    port: int
    inode: int


def listeners(proc: Path = PROC) -> list[Listener]:
    """Every listening TCP socket of this network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        table = proc / "net" / name
        if not table.exists():
            continue
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A":  # TCP_LISTEN
                continue
            address, port = fields[1].split(":")
            found.append(Listener(_address(address), int(port, 16), int(fields[9])))
    return found


def _address(text: str) -> str:
    # Each 32-bit word is printed in the machine's (little-endian) byte order.
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def socket_owners(inodes: Iterable[int], proc: Path = PROC) -> dict[int, int]:
    """Socket inode to the pid that holds it, where that can be seen."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, int] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            for descriptor in (entry / "fd").iterdir():
                inode = wanted.get(str(descriptor.readlink()))
                if inode is not None:
                    owners.setdefault(inode, int(entry.name))
        except OSError:
            continue
    return owners
