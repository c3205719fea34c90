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

from mlplatform.toolchain.first_use import FirstUse
from toolchain import manifest
from toolchain.errors import Cancelled
from toolchain.manifest import ReleaseFile
from toolchain.release import Downloader, DownloadFailed, Refused, published_sums

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
    assert not downloader.reaches(manifest.Release({"*": ReleaseFile(url, SHA256)}))
    assert downloader.reaches(manifest.Release({"*": ReleaseFile("http://127.0.0.2/tool", SHA256)}))


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


def _archive(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            member.size = 7 if member.isreg() else 0
            tar.addfile(member, io.BytesIO(b"hostile"))
    return buffer.getvalue()


def _link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive at all", "is no tar archive"),
        (_archive(tarfile.TarInfo("hello-1.2.3/LICENSE")), "the release lacks hello"),
        (_archive(tarfile.TarInfo("../../hello")), r"holds '\.\./\.\./hello', a path outside of the archive"),
        (_archive(tarfile.TarInfo("a/../../hello")), "a path outside of the archive"),
        (_archive(tarfile.TarInfo("/tmp/hello")), "holds '/tmp/hello', a path outside of the archive"),
        (_archive(_link("hello", "/etc/passwd", tarfile.SYMTYPE)), "the release lacks hello"),
        (_archive(_link("hello", "LICENSE", tarfile.LNKTYPE)), "the release lacks hello"),
        (_archive(_link("hello", "", tarfile.FIFOTYPE)), "the release lacks hello"),
    ],
    ids=["no archive", "no binary", "above", "around", "absolute", "symbolic link", "hard link", "pipe"],
)
def test_what_does_not_unpack_leaves_nothing(
    upstream: Any, write_toolchain: Callable[..., Path], tmp_path: Path, content: bytes, message: str
) -> None:
    [hello] = manifest.load(write_toolchain(upstream.url, hashlib.sha256(content).hexdigest())).values()
    release = hello.release("amd64")
    assert release is not None
    upstream.files["/hello_1.2.3_amd64.tar.gz"] = content
    target = tmp_path / "inner" / "target"
    target.mkdir(parents=True)
    with pytest.raises(DownloadFailed, match=message):
        Downloader().install(hello, release, target)
    assert list(target.iterdir()) == []
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert not (tmp_path / "hello").exists()


def test_of_a_bundle_only_the_tool_itself_is_taken(
    downloader: Downloader, upstream: Any, write_toolchain: Callable[..., Path], tmp_path: Path
) -> None:
    """Pulumi's has a language host beside it, which would otherwise run in place of infra/plugins' own."""
    content = _archive(*(tarfile.TarInfo(f"hello/{name}") for name in ("hello-language-python", "hello", "hello-x")))
    [hello] = manifest.load(write_toolchain(upstream.url, hashlib.sha256(content).hexdigest())).values()
    release = hello.release("amd64")
    assert release is not None
    upstream.files["/hello_1.2.3_amd64.tar.gz"] = content
    target = tmp_path / "target"
    target.mkdir()
    downloader.install(hello, release, target)
    assert [path.name for path in target.iterdir()] == ["hello"]


@pytest.fixture
def trusting(tmp_path: Path) -> Downloader:
    """A downloader that may trust on first use."""
    return Downloader(first_pause=0.01, connect_timeout=2, first_use=FirstUse(tmp_path / "state" / "trusted.json"))


def obtain(downloader: Downloader, url: str, place: Path) -> None:
    """The unpinned file `<url>/tool`, whose sum upstream publishes beside it."""
    downloader._obtain(ReleaseFile(f"{url}/tool", checksums=f"{url}/tool.sha256"), place)


@pytest.mark.parametrize(
    "sums",
    [f"{SHA256}\n", f"{SHA256.upper()}  tool\n", f"{'0' * 64}  other\n{SHA256} *./tool\n"],
    ids=["bare", "named", "among others"],
)
def test_an_unpinned_file_is_checked_against_upstreams_sum_which_is_recorded(
    trusting: Downloader, tls_upstream: Any, tmp_path: Path, sums: str
) -> None:
    tls_upstream.files |= {"/tool": CONTENT, "/tool.sha256": sums.encode()}
    obtain(trusting, tls_upstream.url, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT
    assert trusting.first_use is not None
    [trusted] = trusting.first_use.all()
    assert (trusted.name, trusted.sha256) == (f"{tls_upstream.url}/tool", SHA256)
    assert trusted.source == f"{tls_upstream.url}/tool.sha256"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["tool"]


def test_a_recorded_sum_counts_as_pinned(trusting: Downloader, tls_upstream: Any, tmp_path: Path) -> None:
    tls_upstream.files |= {"/tool": CONTENT, "/tool.sha256": SHA256.encode()}
    obtain(trusting, tls_upstream.url, tmp_path / "tool")
    changed = b"replaced upstream, sum and all"
    tls_upstream.files |= {"/tool": changed, "/tool.sha256": hashlib.sha256(changed).hexdigest().encode()}
    with pytest.raises(
        Refused,
        match=rf"has sha256 \w{{12}}\.\.\., not {SHA256[:12]}\.\.\. as on its first use .* remove its entry from",
    ):
        obtain(trusting, tls_upstream.url, tmp_path / "tool")
    tls_upstream.files = {"/tool": CONTENT}
    obtain(trusting, tls_upstream.url, tmp_path / "tool")


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (
            f"{'0' * 64}  tool\n",
            rf"tool has sha256 {SHA256[:12]}\.\.\., not 0{{12}}\.\.\. as https://.*tool.sha256 says",
        ),
        (f"{SHA256}  other\n", "tool.sha256 has no sha256 for https://.*/tool"),
        ("<html>log in first</html>\n", "has no sha256 for"),
        (f"{SHA256}  tool\n{'0' * 64}  tool\n", "has several sums for"),
        ("x" * 2_000_000, "is too long for what it should be"),
        (None, r"tool\.sha256 answered 404"),
    ],
    ids=["wrong sum", "another file's", "no checksum file", "ambiguous", "endless", "missing"],
)
def test_an_unpinned_file_without_the_right_sum_is_not_trusted(
    trusting: Downloader, tls_upstream: Any, tmp_path: Path, sums: str | None, message: str
) -> None:
    tls_upstream.files |= {"/tool": CONTENT} | ({"/tool.sha256": sums.encode()} if sums else {})
    with pytest.raises(DownloadFailed, match=message):
        obtain(trusting, tls_upstream.url, tmp_path / "tool")
    assert trusting.first_use is not None
    assert trusting.first_use.all() == []


def test_a_sum_is_taken_over_tls_only(trusting: Downloader, tls_upstream: Any, upstream: Any, tmp_path: Path) -> None:
    for served in (tls_upstream, upstream):
        served.files |= {"/tool": CONTENT, "/tool.sha256": SHA256.encode()}
    tls_upstream.answers = [f"{upstream.url}/tool.sha256"]
    with pytest.raises(Refused, match=r"tool\.sha256 redirects to http://.*, which has no TLS"):
        obtain(trusting, tls_upstream.url, tmp_path / "tool")
    assert upstream.requests == []


def test_a_redirect_within_tls_is_followed(trusting: Downloader, tls_upstream: Any, tmp_path: Path) -> None:
    tls_upstream.files |= {"/storage": CONTENT, "/tool.sha256": SHA256.encode()}
    tls_upstream.answers = ["whole", f"{tls_upstream.url}/storage"]
    obtain(trusting, tls_upstream.url, tmp_path / "tool")
    assert tls_upstream.requests == ["/tool.sha256", "/tool", "/storage"]


def test_a_certificate_that_nobody_vouches_for_ends_it_at_once(
    trusting: Downloader, tls_upstream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    tls_upstream.files |= {"/tool": CONTENT, "/tool.sha256": SHA256.encode()}
    trusting.first_pause = 60
    with pytest.raises(DownloadFailed, match=r"cannot be reached .*CERTIFICATE_VERIFY_FAILED"):
        obtain(trusting, tls_upstream.url, tmp_path / "tool")


def test_a_proxy_that_lets_nobody_out_is_asked_once(
    trusting: Downloader, upstream: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file server refuses CONNECT, as a proxy does with hosts that are not on its list."""
    monkeypatch.setenv("https_proxy", upstream.url)
    monkeypatch.setenv("no_proxy", "")
    trusting.first_pause = 60
    for _ in range(2):
        with pytest.raises(DownloadFailed, match=r"upstream\.invalid cannot be reached \(Tunnel connection failed: 4"):
            obtain(trusting, "https://upstream.invalid", tmp_path / "tool")
    assert upstream.requests == ["CONNECT"]


def test_what_cannot_be_recorded_is_not_trusted(trusting: Downloader, tls_upstream: Any, tmp_path: Path) -> None:
    tls_upstream.files |= {"/tool": CONTENT, "/tool.sha256": SHA256.encode()}
    (tmp_path / "state").write_text("a file in the folder's place")
    with pytest.raises(Refused, match=r"trusted\.json: cannot be \w+ .*; "):
        obtain(trusting, tls_upstream.url, tmp_path / "tool")
    assert "/tool" not in tls_upstream.requests


def test_without_a_record_only_pinned_files_are_taken(tls_upstream: Any, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"no sha256 of https://.*/tool is pinned"):
        obtain(Downloader(), tls_upstream.url, tmp_path / "tool")
    assert tls_upstream.requests == []


def test_a_sum_is_found_by_the_files_own_name() -> None:
    text = f"{SHA256}  tool\n{'1' * 64}  tool.sig\n{'2' * 40}  tool\n{'3' * 128}  tool\n"
    assert published_sums(text, "tool") == {SHA256}
    assert published_sums(text, "too") == set()
