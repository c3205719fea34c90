"""A host of its own for `scripts/down`, made of namespaces: processes, mounts, network and the folders that it changes.

Run as a program it becomes that host; nothing that it does there reaches the real one.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STATE = Path("/var/lib/ml-platform")
RECORD = Path("/etc/ml-platform.json")
# In place of these the host has its own: empty ones, or a copy where the programs need what is in them.
EMPTY = ("/run", "/var/lib", "/var/log", "/sys/fs/cgroup")
COPIED = ("/etc", str(ROOT / "clusters"))
CREATED = ("/etc/cni", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/run/containerd")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
WAITS = "#!/bin/bash\nwhile :; do sleep 0.2; done\n"


def down(work: Path, *options: str, address: str, account: str) -> dict[str, Any]:
    """Run `scripts/down` on such a host. Returns what there was `before` and `after`, and what the verb `said`."""
    alone = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    command = ["unshare", *alone, "--", sys.executable, __file__, str(work), address, account, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _own_places(work: Path) -> None:
    # What follows deletes; it must never do so anywhere else.
    assert os.getpid() == 1, "only in a PID namespace of its own"
    table = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    assert not [line for line in table if any(field.startswith("shared:") for field in line)], "the host would see it"
    # What the real host has mounted there would stay in the list of mounts, hidden.
    for point in reversed([line[4] for line in table]):
        if point.startswith(tuple(f"{place}/" for place in EMPTY)):
            _run("umount", "--lazy", "--no-mtab", point)
    # The network devices of this network namespace, not of the one that made the old one.
    _run("mount", "-t", "sysfs", "sandbox", "/sys")
    for place in EMPTY:
        _run("mount", "-t", "tmpfs", "sandbox", place)
    for number, place in enumerate(COPIED):
        copy = work / str(number)
        _run("cp", "-a", place, str(copy))
        _run("mount", "--bind", str(copy), place)
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    assert {*EMPTY, *COPIED} <= set(mounted)


def _write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _service(path: Path, *arguments: str) -> None:
    _write(path, WAITS).chmod(0o755)
    subprocess.Popen([path, *arguments], start_new_session=True)


def _platform(address: str, account: str) -> None:
    """What the platform leaves on a host, and beside each thing one of somebody else's."""
    for leftover in ("/etc/kubernetes", "/etc/cni", str(RECORD)):
        path = Path(leftover)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    for name in (
        ".ml-platform-state",
        "secrets/pulumi-passphrase",
        "kubernetes/admin.conf",
        "gitea/repository",
        "up.json",
    ):
        _write(STATE / name)
    for folder in CREATED:
        _write(Path(folder, "folder", "file"))
    _write(Path("/run/ml-platform/socket"))
    _write(Path("/var/lib/theirs/file"))
    _write(Path("/etc/theirs.conf"))
    RECORD.write_text(
        json.dumps({"state_dir": str(STATE), "created": CREATED, "kernel_parameters": {"net.ipv4.ip_forward": "0"}})
    )
    Path("/etc/kubernetes").symlink_to(STATE / "kubernetes")
    link = ROOT / "clusters" / "Pulumi.local.yaml"
    link.unlink(missing_ok=True)
    link.symlink_to(STATE / "pulumi" / "Pulumi.local.yaml")
    FORWARDING.write_text("1")
    (STATE / "kubelet" / "pods" / "a").mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "pod", str(STATE / "kubelet" / "pods" / "a"))
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    for bridge in ("cni0", "br-theirs"):
        _run("ip", "link", "add", bridge, "type", "bridge")
    for chain in ("KUBE-FORWARD", "THEIRS"):
        _run("iptables", "-N", chain)
        _run("iptables", "-A", "FORWARD", "-j", chain)
    for name in ("KUBE-SRC-A", "THEIRS"):
        _run("ipset", "create", name, "hash:ip")
    # Only the kernel makes real ones; these are as good to look at and to remove.
    for group in ("kubepods/pod", "theirs"):
        Path("/sys/fs/cgroup", group).mkdir(parents=True)
    for name in (account, "theirs"):
        if not any(line.startswith(f"{name}:") for line in Path("/etc/passwd").read_text().splitlines()):
            _run("useradd", "--system", "--no-create-home", name)
    _service(STATE.parent / "theirs" / "gitea", "web")
    _service(STATE.parent / "theirs" / "versitygw", str(STATE / "object-store"))


def _there() -> dict[str, list[str]]:
    """What the host has, by kind."""
    files = [
        str(Path(folder, name))
        for top in (*EMPTY, *COPIED)
        for folder, below, names in os.walk(top)
        for name in (*names, *below)
    ]
    # One that has ended has no arguments any more.
    running = [path for path in Path("/proc").glob("[0-9]*") if (path / "cmdline").read_bytes()]
    names = {(path / "comm").read_text().strip() for path in running}
    saved = _run("iptables-save")
    return {
        "files": files,
        "accounts": [line.partition(":")[0] for line in Path("/etc/passwd").read_text().splitlines()],
        "addresses": [line.split()[3].partition("/")[0] for line in _run("ip", "-o", "address").splitlines()],
        "devices": [line.split()[1].rstrip(":") for line in _run("ip", "-o", "link").splitlines()],
        "chains": [line[1:].split()[0] for line in saved.splitlines() if line.startswith(":")],
        "sets": _run("ipset", "list", "-name").split(),
        "mounts": [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()],
        "processes": sorted(names & {"gitea", "versitygw"}),
        "parameters": [f"net.ipv4.ip_forward={FORWARDING.read_text().strip()}"],
    }


def main() -> None:
    work, address, account, *options = sys.argv[1:]
    _own_places(Path(work))
    _platform(address, account)
    before = _there()
    environment = {name: value for name, value in os.environ.items() if name != "ML_PLATFORM_STATE_DIR"}
    done = subprocess.run(
        [ROOT / "scripts" / "down", *options], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(json.dumps({"before": before, "after": _there(), "said": done.stderr}))


if __name__ == "__main__":
    main()
