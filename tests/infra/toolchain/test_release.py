"""Release files, against a file server on loopback that misbehaves on demand."""

import hashlib
import io
import socket
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolchain import manifest
from toolchain.errors import Cancelled
from toolchain.release import Downloader, DownloadFailed

CONTENT = b"x" * 200_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def downloader() -> Downloader:
    return Downloader(first_pause=0.01, connect_timeout=2)


def test_a_file_is_fetched_and_checked(downloader: Downloader, upstream: Any, tmp_path: Path) -> None:
    upstream.files["/tool"] = CONTENT
    downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT
    assert upstream.requests == ["/tool"]


@pytest.mark.parametrize("answers", [["503", "503"], ["429"], ["truncated", "503", "truncated"]])
def test_passing_faults_are_retried(downloader: Downloader, upstream: Any, tmp_path: Path, answers: list[str]) -> None:
    upstream.files["/tool"] = CONTENT
    upstream.answers = list(answers)
    downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT
    assert len(upstream.requests) == len(answers) + 1


def test_a_lasting_fault_ends_after_the_last_attempt(downloader: Downloader, upstream: Any, tmp_path: Path) -> None:
    upstream.answers = ["503"] * 9
    with pytest.raises(DownloadFailed, match="answered 503, 4 times"):
        downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert len(upstream.requests) == 4


def test_pauses_double(upstream: Any, tmp_path: Path) -> None:
    pauses: list[float | None] = []

    class Recorder(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout)
            return False

    upstream.answers = ["503"] * 9
    with pytest.raises(DownloadFailed):
        Downloader(cancelled=Recorder()).fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert pauses == [1, 2, 4]


def test_a_missing_file_is_not_asked_for_again(downloader: Downloader, upstream: Any, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="answered 404"):
        downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert len(upstream.requests) == 1


def test_another_file_than_the_pinned_one_is_refused(downloader: Downloader, upstream: Any, tmp_path: Path) -> None:
    upstream.files["/tool"] = b"something else"
    with pytest.raises(DownloadFailed, match=rf"has sha256 \w{{12}}\.\.\., not the pinned {SHA256[:12]}"):
        downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert len(upstream.requests) == 1


def test_a_host_out_of_reach_is_tried_once_a_run(downloader: Downloader, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/tool"
    with pytest.raises(DownloadFailed, match="cannot be reached"):
        downloader.fetch(url, SHA256, tmp_path / "tool")
    assert not downloader.reaches(manifest.Release({"*": (url, SHA256)}))
    assert downloader.reaches(manifest.Release({"*": ("http://127.0.0.2/tool", SHA256)}))


def test_a_slow_download_is_given_up(downloader: Downloader, upstream: Any, tmp_path: Path) -> None:
    upstream.files["/tool"] = CONTENT
    downloader.patience, downloader.slowest = 0, 1e12
    with pytest.raises(DownloadFailed, match=r"comes too slowly \(\d+ kB/s\)"):
        downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")


def test_a_server_that_never_answers_is_given_up(upstream: Any, tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        downloader = Downloader(first_pause=0.01, connect_timeout=0.1, attempts=2)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/tool"
        with pytest.raises(DownloadFailed, match=r"broke off \(timed out\), 2 times"):
            downloader.fetch(url, SHA256, tmp_path / "tool")
        with pytest.raises(DownloadFailed, match="cannot be reached"):
            downloader.fetch(url, SHA256, tmp_path / "tool")


def test_an_interrupt_ends_the_wait_for_the_next_attempt(upstream: Any, tmp_path: Path) -> None:
    downloader = Downloader(first_pause=60)
    upstream.answers = ["503"]
    threading.Timer(0.1, downloader.cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        downloader.fetch(f"{upstream.url}/tool", SHA256, tmp_path / "tool")
    assert time.monotonic() - begun < 30


def test_the_binary_is_taken_from_wherever_it_lies_in_the_archive(
    downloader: Downloader, upstream: Any, archive: Any, write_toolchain: Callable[..., Path], tmp_path: Path
) -> None:
    [hello] = manifest.load(write_toolchain(upstream.url, archive.sha256)).values()
    release = hello.release("amd64")
    assert release is not None
    upstream.files["/hello_1.2.3_amd64.tar.gz"] = archive.content
    target = tmp_path / "target"
    target.mkdir()
    downloader.install(hello, release, target)
    assert [path.name for path in target.iterdir()] == ["hello"]
    assert (target / "hello").stat().st_mode & 0o777 == 0o755


def _archive_without_the_binary() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("hello-1.2.3/LICENSE"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no archive at all", "is no tar archive"), (_archive_without_the_binary(), "the release lacks hello")],
    ids=["no archive", "no binary"],
)
def test_what_does_not_unpack_leaves_nothing(
    upstream: Any, write_toolchain: Callable[..., Path], tmp_path: Path, content: bytes, message: str
) -> None:
    [hello] = manifest.load(write_toolchain(upstream.url, hashlib.sha256(content).hexdigest())).values()
    release = hello.release("amd64")
    assert release is not None
    upstream.files["/hello_1.2.3_amd64.tar.gz"] = content
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(DownloadFailed, match=message):
        Downloader().install(hello, release, target)
    assert list(target.iterdir()) == []
