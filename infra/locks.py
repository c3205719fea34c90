"""The lock on a stack's state, and when it may be taken off: a killed command leaves its lock behind."""

import contextlib
import json
import math
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aws_state
from settings import PROJECT, ROOT, SettingsError

# A clock that is set right moves the start of a process as this host sees it against the time in a lock.
_CLOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Lock:
    """Who holds a stack: the fields that Pulumi writes. `began`: when it was taken, in seconds since 1970.

    `here`: whether the state lies in a folder of this machine, so that its holders are this machine's, whatever name it
    had then.
    """

    host: str
    pid: int
    user: str
    since: str
    began: float
    here: bool

    @property
    def abandoned(self) -> bool:
        """Whether its process was one of this host's and is gone.

        A pid is given to other processes again, above all after a reboot: it stands for the holder only while it is a
        Pulumi that began before the lock. Where the host has another name now, no Pulumi that old may run at all.
        """
        if self.host == socket.gethostname():
            return not self._may_be(self.pid)
        return self.here and not any(self._may_be(pid) for pid in _pids())

    def _may_be(self, pid: int) -> bool:
        process = Path("/proc", str(pid))
        try:
            stat = (process / "stat").read_text()
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        is_pulumi = "pulumi" in name or b"pulumi" in words[0].rpartition(b"/")[2]
        ticks = int(stat[stat.rindex(")") + 2 :].split()[19])
        started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
        return is_pulumi and started < self.began + _CLOCK_SECONDS


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def release(stack: str, variables: Mapping[str, str], report: Callable[[str], None], root: Path = ROOT) -> None:
    """Take off the lock that a killed command left. Raises SettingsError where somebody else still holds one."""
    held = holders(stack, variables)
    alive = [lock for lock in held if not lock.abandoned]
    if alive:
        lock = alive[0]
        raise SettingsError(
            f"stack {stack} is locked since {lock.since} by {lock.user} on {lock.host} (process {lock.pid});"
            f" wait for it to end, or, if it was killed, run  pulumi cancel --yes --stack {stack}"
        )
    for lock in held:
        report(f"Releasing the lock on stack {stack} that process {lock.pid} left when it was killed ({lock.since})")
    if held:
        command = ["pulumi", "cancel", "--yes", f"--stack={stack}", "--non-interactive"]
        done = subprocess.run(command, env=dict(variables), cwd=root, capture_output=True, text=True)
        if done.returncode:
            raise SettingsError(f"pulumi cancel failed:\n{(done.stderr or done.stdout).strip()}")


def holders(stack: str, variables: Mapping[str, str]) -> list[Lock]:
    """The locks on a stack, of the file backend and of S3. Raises SettingsError for other backends."""
    backend = urlsplit(variables["PULUMI_BACKEND_URL"])
    folder = f".pulumi/locks/organization/{PROJECT}/{stack}"
    if backend.scheme == "file":
        return in_folder(Path(backend.path) / folder)
    if backend.scheme == "s3":
        texts = _objects(backend.netloc, f"{folder}/", variables)
    else:
        raise SettingsError(f"PULUMI_BACKEND_URL: {backend.scheme} is no backend of this project; use file or s3")
    return [_lock(json.loads(text), here=False) for text in texts]


def in_folder(folder: Path) -> list[Lock]:
    """The locks in a folder of a file backend."""
    found = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError):  # released, or not yet written
            found.append(_lock(json.loads(path.read_bytes()), here=True))
    return found


def _objects(bucket: str, prefix: str, variables: Mapping[str, str]) -> list[bytes]:
    client = aws_state.client("s3", variables)
    found = []
    for item in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", []):
        try:
            found.append(client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
        except client.exceptions.NoSuchKey:
            continue  # released in the meantime
    return found


def _lock(document: dict[str, Any], *, here: bool) -> Lock:
    since = str(document.get("timestamp", ""))
    try:
        began = datetime.fromisoformat(since).timestamp()
    except ValueError:
        began = math.inf  # without a time, any Pulumi of that pid may be it
    return Lock(
        host=str(document.get("hostname", "")),
        pid=int(document.get("pid", 0)),
        user=str(document.get("username", "")),
        since=since[:19],
        began=began,
        here=here,
    )
