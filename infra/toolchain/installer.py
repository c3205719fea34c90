"""Obtains every tool: on PATH, else upstream's release, else built from its Go module."""

import platform
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlplatform.toolchain import first_use
from mlplatform.toolchain.first_use import FirstUse, Trusted
from toolchain import manifest
from toolchain.build import Builder
from toolchain.commands import Commands
from toolchain.errors import Cancelled, ToolchainError
from toolchain.manifest import Tool
from toolchain.onpath import OnPath
from toolchain.progress import Log, Progress
from toolchain.release import Downloader, DownloadFailed, Refused
from toolchain.runtimes import Runtimes
from toolchain.store import Store

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# A build alone leaves cores idle while it links or downloads; more than two only make them wait for each other.
_AT_ONCE = 2
_LOCK_PAUSE = 0.5  # seconds between two looks at a lock that another process has


class Paths(Protocol):
    """What the toolchain needs to know of the host: `settings.Paths` has it."""

    @property
    def state(self) -> Path: ...
    @property
    def cache(self) -> Path: ...
    @property
    def bin(self) -> Path: ...


@dataclass(frozen=True)
class Installed:
    """A tool that is ready. `source` is `path`, `release` or `build`; `folder` holds what came with it."""

    name: str
    version: str
    source: str
    folder: Path
    binaries: Mapping[str, Path]


def install(
    names: Iterable[str] | None = None,
    *,
    paths: Paths,
    log: Log | None = None,
    tools: Mapping[str, Tool] | None = None,
    downloader: Downloader | None = None,
) -> list[Installed]:
    """Make the named tools (all for None) ready in the cache and link their binaries in `<cache>/bin`.

    Tools that another process is making are waited for. `log` gets one line an event; without it they go to stderr,
    with live rows on a terminal. Raises ToolchainError; what was finished until then stays, and the next run goes on.
    """
    return Installer(paths, log, downloader).install(manifest.select(tools or manifest.load(), names))


def find(tool: Tool, paths: Paths) -> Installed | None:
    """The tool as it is ready now, without obtaining anything; None when it is not."""
    return Installer(paths, None).ready(tool)


def trusted(paths: Paths) -> list[Trusted]:
    """What this host trusts because it used it first, of the releases that are installed and pinned by no commit.

    Raises TrustError where the record cannot be read.
    """
    known = {entry.name: entry for entry in FirstUse(paths.state / first_use.FILE).all()}
    installer = Installer(paths, None)
    found = []
    for tool in manifest.load().values():
        item, release = installer.ready(tool), installer.release(tool)
        if item and item.source == "release" and release:
            found += [known[file.url] for file in release.files.values() if not file.sha256 and file.url in known]
    return found


class Installer:
    """One run of the toolchain over one cache."""

    def __init__(self, paths: Paths, log: Log | None, downloader: Downloader | None = None) -> None:
        self._store = Store(tools=paths.cache / "tools", bin=paths.bin)
        self._on_path = OnPath(self._store.tools / "on-path.json", ignored=[paths.bin])
        self._progress = Progress(log)
        self._commands = Commands(logs=paths.cache / "logs" / "toolchain")
        self._downloader = downloader or Downloader()
        self._downloader.cancelled = self._commands.cancelled
        self._downloader.first_use = FirstUse(paths.state / first_use.FILE)
        self._builder = Builder(paths.cache, self._commands, Runtimes(paths.cache, self._commands, self._progress.line))
        self._ahead = Ahead(self._builder)

    def ready(self, tool: Tool) -> Installed | None:
        """The tool when it is on PATH in an accepted version, or installed from this recipe."""
        found = self._on_path.find(tool)
        if found:
            version, binaries = found
            return Installed(tool.name, f"v{version}", "path", next(iter(binaries.values())).parent, binaries)
        source = self._store.source(tool)
        return self._installed(tool, source) if source else None

    def cancel(self) -> None:
        """Make an `install` in another thread stop, with everything that it started."""
        self._commands.cancel()

    def install(self, tools: list[Tool]) -> list[Installed]:
        """Obtain what is missing and link everything."""
        done = {tool.name: self.ready(tool) for tool in tools}
        missing = [tool for tool in tools if done[tool.name] is None]
        self._progress.begin(len(missing), len(tools))
        if missing:
            with self._progress.live():
                done |= {item.name: item for item in self._obtain_all(missing)}
        result = [item for item in done.values() if item]
        for item in result:
            self._store.link(item.binaries)
        return result

    def _obtain_all(self, tools: list[Tool]) -> list[Installed]:
        with ThreadPoolExecutor(_AT_ONCE, "tool") as workers, self._ahead:
            futures = [workers.submit(self._obtain, tool, tools) for tool in tools]
            self._ahead.prefetch(tool for tool in tools if not self.release(tool))
            try:
                done, left = wait(futures, return_when=FIRST_EXCEPTION)
                failed = bool(left) or any(future.exception() for future in done)
            except BaseException:
                failed = True
                raise
            finally:
                if failed:
                    for future in futures:
                        future.cancel()
                    self.cancel()
        failures = [error for future in futures if not future.cancelled() and (error := future.exception())]
        for failure in sorted(failures, key=lambda error: isinstance(error, Cancelled)):
            raise failure
        return [future.result() for future in futures]

    def _obtain(self, tool: Tool, all_missing: list[Tool]) -> Installed:
        with self._store.locked(tool, self._waiting(tool)):
            found = self.ready(tool)
            if found:
                self._progress.ready()
                return found
            source = ""
            with self._store.staging(tool, lambda: source) as folder:
                source = self._fill(tool, folder, all_missing)
        item = self._installed(tool, source)
        # At once, not when all are done: whoever runs beside us waits for this one tool.
        self._store.link(item.binaries)
        return item

    def _waiting(self, tool: Tool) -> Callable[[], None]:
        told = False

        def pause() -> None:
            nonlocal told
            if not told:
                self._progress.line(f"{tool.name}: another process is making it; waiting")
                told = True
            if self._commands.cancelled.wait(_LOCK_PAUSE):
                raise Cancelled

        return pause

    def _fill(self, tool: Tool, folder: Path, all_missing: list[Tool]) -> str:
        release = self.release(tool)
        # A host that is out of reach was said so once; its other tools go on to the build without another word.
        if release and self._downloader.reaches(release):
            try:
                with self._progress.tool(tool.name, f"downloading {tool.version}"):
                    self._downloader.install(tool, release, folder)
                    if not tool.release_is_whole:
                        self._builder.complete(tool, folder)
                return "release"
            except DownloadFailed as error:
                say = self._progress.warn if isinstance(error, Refused) else self._progress.line
                say(f"{tool.name}: {error.message}; building it instead")
                self._ahead.prefetch(other for other in all_missing if not self._downloadable(other))
        with self._progress.tool(tool.name, f"building {tool.version}"):
            self._builder.install(tool, folder)
            self._builder.complete(tool, folder)
        return "build"

    def _downloadable(self, tool: Tool) -> bool:
        release = self.release(tool)
        return release is not None and self._downloader.reaches(release)

    def release(self, tool: Tool) -> manifest.Release | None:
        """Upstream's files of the tool for this machine."""
        return tool.release(_ARCHITECTURES.get(platform.machine(), platform.machine()))

    def _installed(self, tool: Tool, source: str) -> Installed:
        folder = self._store.folder(tool)
        return Installed(tool.name, tool.version, source, folder, {binary: folder / binary for binary in tool.binaries})


class Ahead:
    """Downloads the modules of the tools that are built later, one tool at a time, beside the builds."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._worker = ThreadPoolExecutor(1, "prefetch")
        self._asked: set[str] = set()
        self._guard = threading.Lock()

    def prefetch(self, tools: Iterable[Tool]) -> None:
        """Download what each of `tools` is built from, unless that was asked for before."""
        for tool in tools:
            with self._guard:
                if tool.name in self._asked:
                    continue
                self._asked.add(tool.name)
            self._worker.submit(self._download, tool)

    def _download(self, tool: Tool) -> None:
        # The build itself meets the same problem and reports it.
        with suppress(ToolchainError):
            self._builder.prefetch(tool)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        # By now every build is done or failed, so nobody needs what is still queued.
        self._worker.shutdown(cancel_futures=True)
