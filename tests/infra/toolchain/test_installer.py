"""The three ways in their order: PATH, release, build."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import settings
import toolchain
from mlplatform.toolchain.first_use import FILE, FirstUse
from toolchain import manifest
from toolchain.errors import Cancelled, ToolchainError
from toolchain.installer import Installer
from toolchain.release import Downloader
from toolchain.store import Store

FILES = 'copy = { pages = "static/pages" }'


@dataclass(frozen=True)
class Bench:
    """The tool `hello`, its upstream, and a cache of its own. `said` is what the toolchain reported."""

    write: Callable[..., Path]
    upstream: Any
    archive: Any
    places: Any
    said: list[str]

    def released(self, **changes: str) -> Path:
        """The manifest, with upstream serving the release of v1.2.3."""
        self.serve(self.archive.content)
        return self.write(self.upstream.url, self.archive.sha256, **changes)

    def serve(self, content: bytes, number: str = "1.2.3") -> None:
        self.upstream.files |= {f"/hello_{number}_{arch}.tar.gz": content for arch in ("amd64", "arm64")}

    def install(self, folder: Path) -> toolchain.Installed:
        downloader = Downloader(first_pause=0.01, connect_timeout=2)
        tools = manifest.load(folder)
        [item] = toolchain.install(paths=self.places, log=self.said.append, tools=tools, downloader=downloader)
        return item

    @property
    def left(self) -> list[str]:
        """What lies in the tool's folder of the cache."""
        return sorted(path.name for path in (self.places.cache / "tools" / "hello").iterdir())


@pytest.fixture
def bench(write_toolchain: Callable[..., Path], upstream: Any, archive: Any, places: Any) -> Bench:
    return Bench(write_toolchain, upstream, archive, places, [])


@pytest.fixture
def go_caches(places: Any) -> None:
    """The caches of the real toolchain, which hold Go's compiled standard library."""
    places.cache.mkdir()
    real = settings.Paths.from_environment().cache
    for name in ("go", "venvs", "bootstrap", "uv"):
        (real / name).mkdir(parents=True, exist_ok=True)
        (places.cache / name).symlink_to(real / name)


def answer(item: toolchain.Installed) -> str:
    return subprocess.run([item.binaries["hello"]], capture_output=True, text=True, check=True).stdout.strip()


def test_a_release_is_installed_and_linked(bench: Bench) -> None:
    item = bench.install(bench.released())
    assert (item.source, item.version) == ("release", "v1.2.3")
    assert item.folder == bench.places.cache / "tools" / "hello" / "v1.2.3"
    assert answer(item) == "released v1.2.3"
    assert (bench.places.bin / "hello").resolve() == item.binaries["hello"]


def test_what_is_installed_is_not_downloaded_again(bench: Bench) -> None:
    folder = bench.released()
    first = bench.install(folder)
    bench.said.clear()
    assert bench.install(folder) == first
    assert bench.said == []
    assert len(bench.upstream.requests) == 1


def test_a_new_pin_is_installed_beside_the_old_one(bench: Bench) -> None:
    bench.install(bench.released())
    bench.serve(bench.archive.content, "1.2.4")
    folder = bench.released(version="v1.2.4")
    tools = folder / "tools.toml"
    tools.write_text(tools.read_text().replace('"v1.2.3"', '"v1.2.4"'))
    item = bench.install(folder)
    assert item.version == "v1.2.4"
    assert (bench.places.bin / "hello").resolve() == item.binaries["hello"]
    assert bench.left == [".lock", "v1.2.3", "v1.2.4"]


def test_path_comes_first_and_is_linked(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "machine" / "hello"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho v1.5.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.places.bin}:{program.parent}:{os.environ['PATH']}")
    for _ in range(2):
        item = bench.install(bench.released())
        assert (item.source, item.version, item.binaries) == ("path", "v1.5.0", {"hello": program})
    assert (bench.places.bin / "hello").readlink() == program
    assert bench.upstream.requests == []


@pytest.mark.tools
@pytest.mark.usefixtures("go_caches")
@pytest.mark.parametrize(
    ("fault", "notice"),
    [
        ("gone", "answered 404"),
        ("overloaded", "answered 503, 4 times"),
        ("other content", "not the pinned"),
        ("unreachable", "cannot be reached"),
    ],
)
def test_without_a_usable_release_it_is_built_after_one_line_of_notice(bench: Bench, fault: str, notice: str) -> None:
    folder = bench.released(extra=FILES)
    if fault == "gone":
        bench.upstream.files.clear()
    elif fault == "overloaded":
        bench.upstream.answers = ["503"] * 4
    elif fault == "other content":
        bench.serve(b"something else")
    else:
        tools = folder / "tools.toml"
        tools.write_text(tools.read_text().replace(bench.upstream.url, "http://127.0.0.1:1"))
    item = bench.install(folder)
    assert item.source == "build"
    assert answer(item) == "hello version v1.2.3"
    assert (item.folder / "static" / "pages" / "index.html").read_text() == "<p>hello</p>\n"
    begun, told, building, done = bench.said
    assert begun == "1 of 1 left, hello: downloading v1.2.3 ..."
    assert notice in told
    assert told.endswith("; building it instead")
    assert told.startswith("warning: hello: ") == (fault == "other content")
    assert building == "1 of 1 left, hello: building v1.2.3 ..."
    assert done.startswith("all 1 ready, hello: building v1.2.3: done in ")


@dataclass(frozen=True)
class Unpinned:
    """The tool `hello` where no sum is pinned, and its upstream, which publishes sums over TLS."""

    bench: Bench
    folder: Path

    def forget(self) -> None:
        """Lose what is installed, as whoever removes the cache does; what is trusted stays."""
        shutil.rmtree(self.bench.places.cache / "tools")

    @property
    def trusted(self) -> dict[str, str]:
        """What is recorded: the sum by the file's name."""
        known = FirstUse(self.bench.places.state / FILE).all()
        return {trusted.name.rsplit("/", 1)[-1]: trusted.sha256 for trusted in known}


@pytest.fixture
def unpinned(write_toolchain: Callable[..., Path], tls_upstream: Any, archive: Any, places: Any) -> Unpinned:
    bench = Bench(write_toolchain, tls_upstream, archive, places, [])
    bench.serve(archive.content)
    tls_upstream.files["/sums.txt"] = archive.sums()
    return Unpinned(bench, write_toolchain(tls_upstream.url, checksums=f"{tls_upstream.url}/sums.txt", extra=FILES))


@pytest.fixture
def whole(unpinned: Unpinned) -> Unpinned:
    """The same, where the release holds everything, so that nothing is asked of the Go module."""
    tools = unpinned.folder / "tools.toml"
    tools.write_text(f"{tools.read_text()}self-contained = true\n")
    return unpinned


def test_an_unpinned_release_is_installed_by_the_sum_that_upstream_publishes(whole: Unpinned, archive: Any) -> None:
    item = whole.bench.install(whole.folder)
    assert (item.source, answer(item)) == ("release", "released v1.2.3")
    assert not (item.folder / "static").exists(), "self-contained"
    [(name, sha256)] = whole.trusted.items()
    assert name.startswith("hello_1.2.3_")
    assert sha256 == archive.sha256
    assert (whole.bench.places.state / FILE).stat().st_mode & 0o777 == 0o644


def test_what_was_trusted_is_taken_again_without_asking_for_its_sum(whole: Unpinned) -> None:
    whole.bench.install(whole.folder)
    whole.forget()
    whole.bench.upstream.requests.clear()
    assert whole.bench.install(whole.folder).source == "release"
    assert "/sums.txt" not in whole.bench.upstream.requests


@pytest.mark.tools
@pytest.mark.usefixtures("go_caches")
def test_what_the_release_lacks_comes_from_the_module_that_go_sum_pins(unpinned: Unpinned) -> None:
    item = unpinned.bench.install(unpinned.folder)
    assert item.source == "release"
    assert (item.folder / "static" / "pages" / "index.html").exists()


@pytest.mark.tools
@pytest.mark.usefixtures("go_caches")
@pytest.mark.parametrize(
    ("fault", "notice"),
    [
        ("wrong sum", "warning: hello: .* has sha256 .*, not 0{12}... as .*/sums.txt says; building it instead"),
        ("no checksum file", "1 of 1 left, hello: .*/sums.txt answered 404; building it instead"),
        ("changed after the first use", "warning: hello: .* as on its first use here on .*; building it instead"),
        ("a state that cannot be written", "warning: hello: .*trusted.* cannot be .*; building it instead"),
        ("away", r"1 of 1 left, hello: 127\.0\.0\.1:1 cannot be reached .*; building it instead"),
    ],
)
def test_what_cannot_be_trusted_is_built_after_one_line_of_notice(unpinned: Unpinned, fault: str, notice: str) -> None:
    upstream, tools = unpinned.bench.upstream, unpinned.folder / "tools.toml"
    if fault == "wrong sum":
        upstream.files["/sums.txt"] = re.sub(rb"[0-9a-f]{64}", b"0" * 64, upstream.files["/sums.txt"])
    elif fault == "no checksum file":
        del upstream.files["/sums.txt"]
    elif fault == "changed after the first use":
        unpinned.bench.install(unpinned.folder)
        unpinned.forget()
        unpinned.bench.said.clear()
        unpinned.bench.serve(b"replaced")
        digest = hashlib.sha256(b"replaced").hexdigest().encode()
        upstream.files["/sums.txt"] = re.sub(rb"[0-9a-f]{64}", digest, upstream.files["/sums.txt"])
    elif fault == "away":
        tools.write_text(tools.read_text().replace(upstream.url, "https://127.0.0.1:1"))
    else:
        unpinned.bench.places.state.write_text("a file in its place")
    item = unpinned.bench.install(unpinned.folder)
    assert (item.source, answer(item)) == ("build", "hello version v1.2.3")
    assert (item.folder / "static" / "pages" / "index.html").exists()
    begun, told, building, _ = unpinned.bench.said
    assert begun == "1 of 1 left, hello: downloading v1.2.3 ..."
    assert re.fullmatch(notice, told)
    assert building == "1 of 1 left, hello: building v1.2.3 ..."


def test_a_download_that_is_killed_halfway_leaves_nothing_trusted_and_is_done_again(
    whole: Unpinned, archive: Any
) -> None:
    upstream, places = whole.bench.upstream, whole.bench.places
    # Longer than what the downloader reads at once. What follows a gzip stream's end is zeros, which count for nothing.
    large = type(archive)(archive.content + bytes(6 << 20))
    whole.bench.serve(large.content)
    upstream.files["/sums.txt"] = large.sums()
    upstream.answers = ["whole", "stall"]
    command = [sys.executable, "-c", PROGRAM, places.cache, whole.folder]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": SEARCH_PATH}, stderr=subprocess.DEVNULL)
    try:
        while not (halves := list(places.cache.glob("tools/hello/.new-*/.download"))) or not halves[0].stat().st_size:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert whole.trusted == {}
    assert len(whole.bench.left) == 2, "the lock and the half"
    assert whole.bench.install(whole.folder).source == "release"
    assert whole.bench.left == [".lock", "v1.2.3"]
    assert len(whole.trusted) == 1


@pytest.mark.tools
@pytest.mark.usefixtures("go_caches")
def test_files_of_the_module_come_with_a_release_too(bench: Bench) -> None:
    item = bench.install(bench.released(extra=FILES))
    assert item.source == "release"
    assert (item.folder / "static" / "pages" / "index.html").exists()


@pytest.mark.tools
@pytest.mark.usefixtures("go_caches")
def test_a_build_that_fails_says_why_leaves_nothing_and_can_be_run_again(bench: Bench) -> None:
    folder = bench.write(version="v1.2.4")
    source = folder / "go" / "hello" / "source" / "cmd" / "hello" / "main.go"
    good = source.read_text()
    source.write_text(good.replace("version)", "versio)"))
    with pytest.raises(ToolchainError, match=r"hello: go build failed .*hello\.log, then run it again") as failure:
        bench.install(folder)
    assert any("undefined: versio" in line for line in failure.value.tail)
    assert bench.left == [".lock"]
    assert not (bench.places.bin / "hello").exists()
    source.write_text(good)
    assert answer(bench.install(folder)) == "hello version v1.2.4"


def test_an_installation_by_another_process_is_waited_for(bench: Bench) -> None:
    folder = bench.released()
    [hello] = manifest.load(folder).values()
    store = Store(bench.places.cache / "tools", bench.places.bin)
    results: list[toolchain.Installed] = []
    thread = threading.Thread(target=lambda: results.append(bench.install(folder)))
    with store.locked(hello, pytest.fail):
        thread.start()
        while not bench.said and thread.is_alive():
            thread.join(0.01)
        with store.staging(hello, lambda: "release") as fresh:
            (fresh / "hello").write_bytes(b"made by the other process")
    thread.join(30)
    assert [item.binaries["hello"].read_bytes() for item in results] == [b"made by the other process"]
    assert bench.said == ["1 of 1 left, hello: another process is making it; waiting"]
    assert bench.upstream.requests == []


def test_waiting_for_another_process_can_be_interrupted(bench: Bench) -> None:
    [hello] = manifest.load(bench.write()).values()
    installer = Installer(bench.places, bench.said.append)
    with Store(bench.places.cache / "tools", bench.places.bin).locked(hello, pytest.fail):
        threading.Timer(0.1, installer.cancel).start()
        with pytest.raises(Cancelled):
            installer.install([hello])


SEARCH_PATH = os.pathsep.join(str(settings.ROOT / part) for part in ("src", "infra"))
PROGRAM = """
import pathlib, signal, sys, toolchain
from toolchain import manifest

class Places:
    cache = pathlib.Path(sys.argv[1])
    state = cache.parent / "state"
    bin = cache / "bin"

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
toolchain.install(paths=Places(), tools=manifest.load(pathlib.Path(sys.argv[2])))
"""


def test_an_interrupt_stops_what_runs_and_leaves_nothing_half_written(bench: Bench, tmp_path: Path) -> None:
    """SIGTERM while `go` runs: it ends too, and there is no copy. A Go that sleeps stands in for a long build."""
    go, running = tmp_path / "machine" / "go", tmp_path / "running"
    go.parent.mkdir()
    go.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec echo go version go1.99.0\necho $$ >{running}.new\n'
        f"mv {running}.new {running}\nexec sleep 600\n"
    )
    go.chmod(0o755)
    folder = bench.write(version="v1.2.5")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, bench.places.cache, folder],
        env=os.environ | {"PATH": f"{go.parent}:{os.environ['PATH']}", "PYTHONPATH": SEARCH_PATH},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not running.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
    assert not Path(f"/proc/{running.read_text().strip()}").exists()
    assert bench.left == [".lock"]


def test_a_wrong_name_is_refused_before_anything_is_done(places: Any) -> None:
    with pytest.raises(toolchain.ManifestError, match="there is no tool 'helm'"):
        toolchain.install(["helm"], paths=places)
    assert not places.cache.exists()
