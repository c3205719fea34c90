"""Upstream's release files: downloaded with retries, checked against their pinned sha256, unpacked."""

import hashlib
import http.client
import shutil
import socket
import tarfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from toolchain.errors import Cancelled, ToolchainError
from toolchain.manifest import Release, Tool

_CHUNK = 1 << 20


class DownloadFailed(ToolchainError):
    """The release cannot be had from upstream: the caller goes on with the next way."""


@dataclass
class Downloader:
    """Fetches release files. A host that cannot be reached at all is asked once a run, not once a tool."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    attempts: int = 4
    first_pause: float = 1.0  # seconds; doubled after each attempt
    connect_timeout: float = 10.0  # seconds without an answer, or without a byte
    slowest: float = 100_000.0  # bytes a second, on average after `patience`; below it a build is the faster way
    patience: float = 20.0  # seconds
    _unreachable: dict[str, str] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def install(self, tool: Tool, release: Release, folder: Path) -> None:
        """Put the tool's binaries into `folder`. Raises DownloadFailed, with everything it wrote removed."""
        try:
            for binary, (url, sha256) in release.files.items():
                file = folder / (".download" if binary == "*" else binary)
                self.fetch(url, sha256, file)
                if binary == "*":
                    _unpack(file, tool.binaries, folder, url)
                    file.unlink(missing_ok=True)
            for binary in tool.binaries:
                (folder / binary).chmod(0o755)
        except FileNotFoundError as error:
            _clear(folder)
            raise DownloadFailed(f"the release lacks {Path(str(error.filename)).name}") from None
        except BaseException:
            _clear(folder)
            raise

    def reaches(self, release: Release) -> bool:
        """False once one of the release's hosts turned out to be out of reach in this run."""
        with self._guard:
            return not any(urlsplit(url).netloc in self._unreachable for url, _ in release.files.values())

    def fetch(self, url: str, sha256: str, file: Path) -> None:
        """Download `url` to `file`. Raises DownloadFailed when it is unreachable, slow, or not what was pinned."""
        host = urlsplit(url).netloc
        broken: object = None
        for attempt in range(1, self.attempts + 1):
            with self._guard:
                if host in self._unreachable:
                    raise DownloadFailed(f"{host} cannot be reached ({self._unreachable[host]})")
            try:
                actual = self._download(url, file)
            except urllib.error.HTTPError as error:
                error.close()
                problem = f"{url} answered {error.code}"
                if error.code < 500 and error.code not in (408, 425, 429):
                    raise DownloadFailed(problem) from None
            except urllib.error.URLError as error:
                problem = f"{host} cannot be reached ({error.reason})"
                if _hopeless(error.reason):
                    self._give_up(host, error.reason)
                    raise DownloadFailed(problem) from None
                broken = error.reason
            except (OSError, http.client.HTTPException) as error:
                problem = f"{url} broke off ({error or type(error).__name__})"
                broken = error
            else:
                if actual == sha256:
                    return
                # The same file would come again: it was replaced, or something on the way rewrites it.
                raise DownloadFailed(f"{url} has sha256 {actual[:12]}..., not the pinned {sha256[:12]}...")
            if attempt < self.attempts and self.cancelled.wait(self.first_pause * 2 ** (attempt - 1)):
                raise Cancelled
        if broken:
            self._give_up(host, broken)
        raise DownloadFailed(f"{problem}, {self.attempts} times")

    def _give_up(self, host: str, reason: object) -> None:
        with self._guard:
            self._unreachable[host] = str(reason)

    def _download(self, url: str, file: Path) -> str:
        digest = hashlib.sha256()
        begun = time.monotonic()
        request = urllib.request.Request(url, headers={"User-Agent": "ml-platform"})  # noqa: S310 - the manifest takes http(s) only
        with (
            urllib.request.urlopen(request, timeout=self.connect_timeout) as answer,  # noqa: S310
            file.open("wb") as out,
        ):
            expected = answer.headers.get("Content-Length")
            received = 0
            while chunk := answer.read(_CHUNK):
                if self.cancelled.is_set():
                    raise Cancelled
                out.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                elapsed = time.monotonic() - begun
                if elapsed > self.patience and received / elapsed < self.slowest:
                    raise DownloadFailed(f"{url} comes too slowly ({received / elapsed / 1000:.0f} kB/s)")
        # read() at the end of a connection that was cut gives what came, and says nothing.
        if expected is not None and received != int(expected):
            raise http.client.IncompleteRead(b"", int(expected) - received)
        return digest.hexdigest()


def _hopeless(reason: object) -> bool:
    """Whether the host does not exist or refuses everybody, so that another attempt is wasted."""
    if isinstance(reason, socket.gaierror):
        return reason.errno != socket.EAI_AGAIN
    return isinstance(reason, ConnectionRefusedError | TimeoutError)


def _unpack(archive: Path, binaries: tuple[str, ...], folder: Path, url: str) -> None:
    """Take each binary, wherever it lies in the tar archive, by its file name. Nothing else is unpacked."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = member.name.rsplit("/", 1)[-1]
                if member.isfile() and name in binaries:
                    content = tar.extractfile(member)
                    assert content is not None
                    with content, (folder / name).open("wb") as out:
                        shutil.copyfileobj(content, out, _CHUNK)
    except tarfile.TarError as error:
        raise DownloadFailed(f"{url} is no tar archive ({error})") from None


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
