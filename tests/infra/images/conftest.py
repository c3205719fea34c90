"""Real container registries on loopback ports, and a cache that shares this host's tools."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest

from images.registry import USER, Registry
from settings import Paths

PASSWORD = "loopback-only"


def needed(program: str) -> str:
    """The path of a Debian program that a set-up host has; fails the test where it is missing."""
    path = shutil.which(program)
    assert path, f"{program} is not installed; scripts/up installs it, or: apt-get install {program}"
    return path


@pytest.fixture
def host_paths() -> Paths:
    paths = Paths.from_environment()
    assert (paths.bin / "crane").exists(), f"{paths.bin}/crane is missing; build it: scripts/test builds every tool"
    return paths


@pytest.fixture
def paths(tmp_path: Path, host_paths: Paths) -> Paths:
    """An empty cache and state directory, with this host's tools."""
    paths = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    paths.secrets.mkdir(parents=True)
    paths.cache.mkdir()
    paths.bin.symlink_to(host_paths.bin)
    return paths


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts registries: `serve("name")` gives the host:port of an empty one, which by default wants a login."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, login: bool = True) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        storage = f"{{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}"
        configuration = f"version: 0.1\nstorage: {storage}\nhttp: {{addr: {address}}}\n"
        if login:
            hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
            (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
            configuration += f"auth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
        (folder / "config.yml").write_text(configuration)
        with (folder / "log").open("wb") as log:
            command = [needed("docker-registry"), "serve", str(folder / "config.yml")]
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        _wait_for(f"http://{address}/v2/", folder / "log")
        return address

    yield start
    for process in started:
        process.terminate()
        process.wait(10)


@pytest.fixture
def registry(serve: Callable[..., str], host_paths: Paths) -> Registry:
    """An empty registry that wants a login, and the right password."""
    return Registry(serve("registry"), PASSWORD, host_paths.bin / "crane")


def _wait_for(url: str, log: Path) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except urllib.error.HTTPError as answered:
            answered.close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the registry did not start: {log.read_text()}")
