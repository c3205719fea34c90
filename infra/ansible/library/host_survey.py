#!/usr/bin/python
"""Survey a host before anything on it is changed: what it is, and every reason why the platform must not be set up."""

import contextlib
import ipaddress
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.processes import Listener, Process, listeners, owned, process_table, socket_owners

DOCUMENTATION = r"""
module: host_survey
short_description: Survey a host and list what speaks against setting the platform up on it
options:
  state_dir: {type: path, required: true}
  cache_dir: {type: path, required: true}
  run_dir: {type: path, required: true}
  record: {type: path, required: true, description: The file that says whose platform the host carries.}
  cluster: {type: str, required: true}
  node_address: {type: str, required: true}
  ranges: {type: list, elements: str, description: The cluster's own networks.}
  ports: {type: list, elements: dict, description: Each with port, address and service.}
  systems: {type: dict, description: Accepted distributions and the oldest version of each.}
  disk_gib: {type: dict, description: "What a first setup takes of the folders `state` and `cache`, in GiB."}
  memory_gib: {type: float}
"""

FOREIGN = {
    "kubelet": "a Kubernetes node agent",
    "k3s": "K3s",
    "k3s-server": "K3s",
    "k0s": "K0s",
    "rke2": "RKE2",
    "kubelite": "MicroK8s",
    "dockerd": "a Docker daemon",
    "containerd": "a containerd",
    "crio": "CRI-O",
}
# Packages that Debian's containerd would replace.
FOREIGN_PACKAGES = {"containerd.io": "Docker's containerd package"}
CAP_SYS_RESOURCE = 24
GIB = 1024**3


def system_problems(release: dict[str, str], systems: dict[str, Any]) -> list[str]:
    """Whether /etc/os-release names a distribution of `systems` that is new enough."""
    name, version = release.get("ID", "unknown"), release.get("VERSION_ID", "")
    wanted = " or ".join(f"{system} {oldest} or later" for system, oldest in systems.items())
    oldest = systems.get(name)
    # Debian's testing and unstable have no version.
    if oldest is not None and (not version or float(version) >= float(oldest)):
        return []
    shown = release.get("PRETTY_NAME", name)
    return [f"/etc/os-release: {shown} is not supported. Use {wanted}."]


def record_problems(record: dict[str, Any] | None, path: str, state_dir: str, cluster: str) -> list[str]:
    """Whether the host already carries the platform of another state directory or cluster."""
    if not record or (record.get("state_dir"), record.get("cluster")) == (state_dir, cluster):
        return []
    where = record.get("state_dir")
    message = (
        f"{path}: this host carries the platform of cluster {record.get('cluster')!r} with its state in {where}; "
        f"one platform a host. Free the host with: ML_PLATFORM_STATE_DIR={where} scripts/down"
    )
    return [message]


def daemon_problems(
    table: dict[int, Process], ours: set[int], packages: set[str], kubernetes: Path, state_dir: str
) -> list[str]:
    """Container and Kubernetes daemons, packages and configuration that are not the platform's."""
    problems = []
    for pid, process in sorted(table.items()):
        found = next((FOREIGN[name] for name in sorted(process.programs) if name in FOREIGN), None)
        if found and pid not in ours:
            command = " ".join(process.arguments)[:120]
            problems.append(
                f"process {pid} ({command}): {found} that is not this platform's. "
                "Stop and disable it, or use another host."
            )
    for package in sorted(packages & set(FOREIGN_PACKAGES)):
        problems.append(
            f"package {package}: {FOREIGN_PACKAGES[package]} conflicts with Debian's containerd. "
            f"Remove it (apt-get remove {package}), or use another host."
        )
    foreign = os.path.lexists(kubernetes) and kubernetes.resolve() != (Path(state_dir) / "kubernetes").resolve()
    if foreign and (not kubernetes.is_dir() or any(kubernetes.iterdir())):
        problems.append(
            f"{kubernetes}: configuration of a Kubernetes that is not this platform's. "
            "Remove that Kubernetes (kubeadm reset, then delete the folder), or use another host."
        )
    return problems


def port_problems(
    wanted: list[dict[str, Any]],
    sockets: list[Listener],
    holders: dict[int, int],
    table: dict[int, Process],
    ours: set[int],
) -> list[str]:
    """Ports that the platform needs and another program holds, on the same address or on every address."""
    problems = []
    for entry in wanted:
        for socket in sockets:
            everywhere = ipaddress.ip_address(socket.address).is_unspecified
            if socket.port != int(entry["port"]) or not (everywhere or socket.address == entry["address"]):
                continue
            pid = holders.get(socket.inode)
            if pid in ours:
                continue
            process = table.get(pid) if pid is not None else None
            holder = f"{process.name} (pid {pid})" if process else "a process that cannot be seen from here"
            problems.append(
                f"port {entry['port']} on {entry['address']}, needed by {entry['service']}: in use by {holder}, "
                f"which listens on {socket.address}. Stop that program, or give {entry['service']} another port "
                "in cluster.yaml where it names one."
            )
            break
    return problems


def existing(path: str) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(folder for folder in (Path(path), *Path(path).parents) if folder.exists())


def size(path: str) -> int:
    """Bytes on disk of everything in a folder; 0 where there is none."""
    if not Path(path).is_dir():
        return 0
    inodes = {}
    # A cache has a million files: a path for each would take longer than the looking.
    for _, _, names, folder in os.fwalk(path):
        for name in names:
            with contextlib.suppress(OSError):  # gone in the meantime
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                inodes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(inodes.values())


def room_problems(needed: dict[str, float], memory_gib: float) -> list[str]:
    """Whether memory and disk suffice. `needed`: GiB by folder; what a folder holds already counts."""
    problems = []
    by_disk: dict[int, list[str]] = {}
    for path in needed:
        by_disk.setdefault(existing(path).stat().st_dev, []).append(path)
    for folders in by_disk.values():
        free, wanted = shutil.disk_usage(existing(folders[0])).free / GIB, sum(needed[path] for path in folders)
        # Measuring a full cache takes seconds, so it is done only where the answer depends on it.
        if free < wanted and free + sum(size(path) for path in folders) / GIB < wanted:
            problems.append(
                f"{' and '.join(folders)}: {free:.1f} GiB free, {wanted:g} GiB needed. "
                "Free some, or set ML_PLATFORM_STATE_DIR and ML_PLATFORM_CACHE_DIR to a larger disk."
            )
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    if total < memory_gib:
        problems.append(f"memory: {total:.1f} GiB, {memory_gib:g} GiB needed. Use a larger machine.")
    return problems


def route_problems(ranges: list[str], routes: str, ours: tuple[str, ...]) -> list[str]:
    """Whether a network of the cluster overlaps one that the host already routes (text of /proc/net/route)."""
    problems = []
    for line in routes.splitlines()[1:]:
        device, destination, _, _, _, _, _, mask = line.split()[:8]
        network = ipaddress.ip_network(
            (int.from_bytes(bytes.fromhex(destination), "little"), bin(int(mask, 16)).count("1")), strict=False
        )
        if network.prefixlen == 0 or device.startswith(ours):
            continue
        for text in ranges:
            if ipaddress.ip_network(text).overlaps(network):
                problems.append(
                    f"network {text} of cluster.yaml overlaps {network}, which this host reaches through {device}. "
                    "Choose another range in cluster.yaml."
                )
    return problems


def os_release(text: str) -> dict[str, str]:
    """The fields of /etc/os-release."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def installed_packages(status: str) -> set[str]:
    """The installed packages of dpkg's status file."""
    found = set()
    for paragraph in status.split("\n\n"):
        if re.search(r"^Status: install ok installed$", paragraph, re.M):
            match = re.search(r"^Package: (\S+)$", paragraph, re.M)
            if match:
                found.add(match[1])
    return found


def default_mtu(routes: str, net: Path = Path("/sys/class/net")) -> int:
    """The transfer unit of the device that carries the default route, 1500 where there is none."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and fields[7] == "00000000":
            return int((net / fields[0] / "mtu").read_text())
    return 1500


def host_facts(routes: str, node_address: str) -> dict[str, Any]:
    """What the roles need to know of the host."""
    local = Path("/proc/net/fib_trie").read_text()
    effective = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.M)
    resolved = Path("/run/systemd/resolve/resolv.conf")
    return {
        "manager": "systemd" if Path("/run/systemd/system").is_dir() else "supervisor",
        "control_groups": 2 if Path("/sys/fs/cgroup/cgroup.controllers").exists() else 1,
        "may_raise_priority": bool(effective and int(effective[1], 16) >> CAP_SYS_RESOURCE & 1),
        "apparmor": Path("/sys/kernel/security/apparmor").is_dir(),
        "mtu": default_mtu(routes),
        # systemd-resolved's own stub listens on loopback, which a pod cannot reach.
        "resolver": str(resolved if resolved.exists() else Path("/etc/resolv.conf")),
        "lacks_bridge": not Path("/proc/sys/net/bridge").is_dir(),
        "has_node_address": bool(re.search(rf"-- {re.escape(node_address)}\n\s+/32 host LOCAL", local)),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "run_dir": {"type": "path", "required": True},
            "record": {"type": "path", "required": True},
            "cluster": {"type": "str", "required": True},
            "node_address": {"type": "str", "required": True},
            "ranges": {"type": "list", "elements": "str", "required": True},
            "ports": {"type": "list", "elements": "dict", "required": True},
            "systems": {"type": "dict", "required": True},
            "disk_gib": {"type": "dict", "required": True},
            "memory_gib": {"type": "float", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    routes = Path("/proc/net/route").read_text()
    record_file = Path(given["record"])
    try:
        record = json.loads(record_file.read_text()) if record_file.exists() else None
    except ValueError:
        module.fail_json(
            msg=f"{record_file}: not JSON; it says what to undo on this host. "
            "Restore it, or delete it if no platform runs here."
        )

    problems = [] if os.geteuid() == 0 else ["user: root is needed to set a host up. Run the script as root (sudo)."]
    problems += system_problems(os_release(Path("/etc/os-release").read_text()), given["systems"])
    status = Path("/var/lib/dpkg/status")
    packages = installed_packages(status.read_text()) if status.exists() else set()
    table = process_table()
    ours = owned(table, [given["state_dir"], given["run_dir"]])
    problems += daemon_problems(table, ours, packages, Path("/etc/kubernetes"), given["state_dir"])
    sockets = listeners()
    needed = {int(entry["port"]) for entry in given["ports"]}
    holders = socket_owners(socket.inode for socket in sockets if socket.port in needed)
    problems += port_problems(given["ports"], sockets, holders, table, ours)
    # A host that is already set up has spent its space.
    folders = {"state": given["state_dir"], "cache": given["cache_dir"]}
    problems += room_problems(
        {folder: 1.0 if record else float(given["disk_gib"][name]) for name, folder in folders.items()},
        given["memory_gib"],
    )
    problems += route_problems(given["ranges"], routes, ("cni0", "veth", "lo"))
    # Another platform explains whatever else was found.
    problems = record_problems(record, given["record"], given["state_dir"], given["cluster"]) or problems
    facts = host_facts(routes, given["node_address"])
    module.exit_json(changed=False, problems=problems, packages=sorted(packages), record=record, **facts)


if __name__ == "__main__":
    main()
