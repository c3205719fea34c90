"""versitygw on loopback with the platform's users."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from runner_harness.process import free_port, running, tool

ROOT_KEY = "root-secret-key-0123456789"


@contextmanager
def object_store(work: Path, users: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """The store's URL until the block ends; `users` are secret key and role by access key."""
    folders = {name: work / name for name in ("data", "versions", "users")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    url = f"http://127.0.0.1:{free_port()}"
    environment = {"ROOT_ACCESS_KEY_ID": "root", "ROOT_SECRET_ACCESS_KEY": ROOT_KEY}
    command = [
        tool("versitygw"),
        f"--port={url.removeprefix('http://')}",
        f"--iam-dir={folders['users']}",
        "posix",
        f"--versioning-dir={folders['versions']}",
        str(folders["data"]),
    ]

    def ready() -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code > 0
        except httpx.HTTPError:
            return False

    with running(command, work / "versitygw.log", ready, environment):
        for access, (secret, role) in users.items():
            admin = [tool("versitygw"), "admin", "--access=root", f"--secret={ROOT_KEY}", f"--endpoint-url={url}"]
            user = ["create-user", f"--access={access}", f"--secret={secret}", f"--role={role}"]
            subprocess.run([*admin, *user], check=True, capture_output=True)
        yield url
