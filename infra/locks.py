"""The lock on a stack's state, and when it may be taken off: a killed command leaves its lock behind."""

import json
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aws_state
from settings import PROJECT, ROOT, SettingsError


@dataclass(frozen=True)
class Lock:
    """Who holds a stack: the fields that Pulumi writes."""

    host: str
    pid: int
    user: str
    since: str

    @property
    def abandoned(self) -> bool:
        """Whether its process was one of this host's and is gone."""
        return self.host == socket.gethostname() and not Path("/proc", str(self.pid)).exists()


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
        texts = _files(Path(backend.path) / folder)
    elif backend.scheme == "s3":
        texts = _objects(backend.netloc, f"{folder}/", variables)
    else:
        raise SettingsError(f"PULUMI_BACKEND_URL: {backend.scheme} is no backend of this project; use file or s3")
    return [_lock(json.loads(text)) for text in texts]


def _files(folder: Path) -> list[bytes]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(path.read_bytes())
        except FileNotFoundError:
            continue  # released in the meantime
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


def _lock(document: dict[str, Any]) -> Lock:
    return Lock(
        host=str(document.get("hostname", "")),
        pid=int(document.get("pid", 0)),
        user=str(document.get("username", "")),
        since=str(document.get("timestamp", ""))[:19],
    )
