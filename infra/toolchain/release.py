"""Upstream's release files: downloaded with retries, checked, unpacked.

Checked against the pinned sha256; without one against the sum that was recorded when the file was first used on this
host; else against the sum that upstream publishes, which is then recorded.
"""

import hashlib
import http.client
import re
import shutil
import socket
import ssl
import tarfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlplatform.toolchain.first_use import FirstUse, TrustError
from toolchain.errors import Cancelled, ToolchainError
from toolchain.manifest import Release, ReleaseFile, Tool

_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_CHECKSUMS = 1 << 20  # bytes; upstream's files of them have a few thousand


class DownloadFailed(ToolchainError):
    """The release cannot be had from upstream: the caller goes on with the next way."""


class Refused(DownloadFailed):
    """What upstream serves is not what it should be, which the user should see."""


@dataclass
class Downloader:
    """Fetches release files. A host that cannot be reached at all is asked once a run, not once a tool."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    first_use: FirstUse | None = None  # without it only pinned files are taken
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
            for binary, source in release.files.items():
                file = folder / (".download" if binary == "*" else binary)
                self._obtain(source, file)
                if binary == "*":
                    _unpack(file, tool.binaries, folder, source.url)
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
            return not any(urlsplit(file.url).netloc in self._unreachable for file in release.files.values())

    def published(self, source: ReleaseFile, scratch: Path) -> str:
        """The sha256 that upstream publishes for a file; `scratch` is a file to use. Raises DownloadFailed."""
        self._retrieve(source.checksums, scratch, _LONGEST_CHECKSUMS)
        text = scratch.read_text(encoding="utf-8", errors="replace")
        scratch.unlink()
        sums = published_sums(text, urlsplit(source.url).path.rsplit("/", 1)[-1])
        if len(sums) != 1:
            raise Refused(f"{source.checksums} has {'several sums' if sums else 'no sha256'} for {source.url}")
        return sums.pop()

    def compare(self, source: ReleaseFile, sha256: str) -> None:
        """Raise DownloadFailed where this host trusts another sum of the file than `sha256`."""
        try:
            known = self.first_use.get(source.url) if self.first_use else None
        except TrustError as error:
            raise Refused(str(error)) from None
        if self.first_use and known and known.sha256 != sha256:
            raise Refused(f"{source.url} {self.first_use.differs(known, sha256)}")

    def fetch(self, url: str, sha256: str, file: Path) -> None:
        """Download `url` to `file`. Raises DownloadFailed when it is unreachable, slow, or not what was pinned."""
        actual = self._retrieve(url, file)
        if actual != sha256:
            # The same file would come again: it was replaced, or something on the way rewrites it.
            raise Refused(f"{url} has sha256 {actual[:12]}..., not the pinned {sha256[:12]}...")

    def _obtain(self, source: ReleaseFile, file: Path) -> None:
        if source.sha256:
            self.fetch(source.url, source.sha256, file)
            return
        try:
            self._obtain_unpinned(source, file)
        except TrustError as error:
            raise Refused(str(error)) from None

    def _obtain_unpinned(self, source: ReleaseFile, file: Path) -> None:
        if self.first_use is None:
            raise DownloadFailed(f"no sha256 of {source.url} is pinned")
        known = self.first_use.get(source.url)
        if known:
            self.compare(source, self._retrieve(source.url, file))
            return
        self.first_use.check_writable()
        sha256 = self.published(source, file.with_name(".checksums"))
        actual = self._retrieve(source.url, file)
        if actual != sha256:
            raise Refused(f"{source.url} has sha256 {actual[:12]}..., not {sha256[:12]}... as {source.checksums} says")
        self.first_use.record(source.url, sha256, source.checksums)

    def _retrieve(self, url: str, file: Path, most: int | None = None) -> str:
        """Download `url` to `file` and return its sha256, trying again while that makes sense."""
        host = urlsplit(url).netloc
        broken: object = None
        for attempt in range(1, self.attempts + 1):
            with self._guard:
                if host in self._unreachable:
                    raise DownloadFailed(f"{host} cannot be reached ({self._unreachable[host]})")
            try:
                return self._download(url, file, most)
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
            if attempt < self.attempts and self.cancelled.wait(self.first_pause * 2 ** (attempt - 1)):
                raise Cancelled
        if broken:
            self._give_up(host, broken)
        raise DownloadFailed(f"{problem}, {self.attempts} times")

    def _give_up(self, host: str, reason: object) -> None:
        with self._guard:
            self._unreachable[host] = str(reason)

    def _download(self, url: str, file: Path, most: int | None) -> str:
        digest = hashlib.sha256()
        begun = time.monotonic()
        request = urllib.request.Request(url, headers={"User-Agent": "ml-platform"})  # noqa: S310 - the manifest takes http(s) only
        with (
            urllib.request.build_opener(_StayingOnTls).open(request, timeout=self.connect_timeout) as answer,
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
                if most and received > most:
                    raise Refused(f"{url} is too long for what it should be")
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
    # A proxy that does not let us out, by its answer to CONNECT, which urllib has no type for.
    forbidden = str(reason).startswith("Tunnel connection failed: 4")
    return forbidden or isinstance(reason, ConnectionRefusedError | TimeoutError | ssl.SSLCertVerificationError)


class _StayingOnTls(urllib.request.HTTPRedirectHandler):
    """Follows redirects, which lead to upstream's storage, but never from TLS to none."""

    def redirect_request(self, request: Any, *others: Any) -> Any:
        url = others[-1]
        if request.full_url.startswith("https:") and not url.startswith("https:"):
            raise Refused(f"{request.full_url} redirects to {url}, which has no TLS")
        return super().redirect_request(request, *others)


def published_sums(text: str, name: str) -> set[str]:
    """The sums of the file `name` in a checksum file: one bare sum, or `SUM  NAME` lines as sha256sum writes them."""
    lines = [line.lower().split() for line in text.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        return {lines[0][0]} if _SHA256.fullmatch(lines[0][0]) else set()
    named = {(words[0], words[1].lstrip("*").rsplit("/", 1)[-1]) for words in lines if len(words) == 2}
    return {sum_ for sum_, file in named if file == name.lower() and _SHA256.fullmatch(sum_)}


def _unpack(archive: Path, binaries: tuple[str, ...], folder: Path, url: str) -> None:
    """Take each binary, wherever it lies in the tar archive, by its file name. Nothing else is unpacked.

    Raises DownloadFailed, also where an archive names places outside of itself, which no honest one does.
    """
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = member.name.split("/")
                if not parts[0] or ".." in parts:
                    raise Refused(f"{url} holds {member.name!r}, a path outside of the archive")
                name = parts[-1]
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
