"""Tools built from their Go modules, pinned by go.mod and go.sum, and what they need beside the binary."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.commands import Commands
from toolchain.manifest import BUILD_FLAGS, C_FLAGS, LINK_FLAGS, Tool
from toolchain.runtimes import Runtimes

_NODE_FOLDER = Path(__file__).resolve().parent / "node"


@dataclass(frozen=True)
class Builder:
    """Builds tools with the caches under `<cache>/go`."""

    cache: Path
    commands: Commands
    runtimes: Runtimes

    def install(self, tool: Tool, folder: Path) -> None:
        """Build the tool's binaries into `folder`. Raises ToolchainError with the compiler's last words."""
        if tool.cgo:
            self.runtimes.c_compiler()
        output = folder / tool.binaries[0] if len(tool.binaries) == 1 else f"{folder}{os.sep}"
        flags = [*BUILD_FLAGS, f"-ldflags={' '.join((*LINK_FLAGS, *tool.ldflags))}"]
        if tool.tags:
            flags.append(f"-tags={','.join(tool.tags)}")
        self._go(tool, "build", *flags, "-o", str(output), *tool.packages.values())

    def prefetch(self, tool: Tool) -> None:
        """Download the modules that a build of the tool needs, so that the build has nothing to wait for."""
        self._go(tool, "list", "-deps", f"-tags={','.join(tool.tags)}", *tool.packages.values())

    def complete(self, tool: Tool, folder: Path) -> None:
        """Put what the tool needs at run time beside its binaries: folders of its module, its built front-end."""
        if not tool.copy:
            return
        self._go(tool, "mod", "download", tool.module)
        module = Path(self._go(tool, "list", "-m", "-f", "{{.Dir}}", tool.module).strip())
        if not tool.web_assets:
            _copy(module, tool.copy.items(), folder)
            return
        # The module cache is read-only and shared, so the front-end is built in a copy.
        work = Path(tempfile.mkdtemp(prefix=".new-web-", dir=folder.parent))
        try:
            source = work / "module"
            shutil.copytree(module, source, copy_function=_copy_writable)
            _make_writable(source)
            self._web_assets(tool, source, work)
            _copy(source, tool.copy.items(), folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _web_assets(self, tool: Tool, source: Path, work: Path) -> None:
        """Build the front-end with the pnpm that `node/package-lock.json` pins and the module's own lock file."""
        node, npm = self.runtimes.node()
        environment = os.environ | {
            "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "CI": "true",
            "HOME": str(work),
            "NODE_OPTIONS": "",
            "npm_config_cache": str(work / "npm"),
            "npm_config_store_dir": str(work / "pnpm"),
            "npm_config_update_notifier": "false",
            # The module names the pnpm that it wants; pnpm would download that one over the pinned one.
            "npm_config_manage_package_manager_versions": "false",
            "npm_config_package_manager_strict": "false",
        }
        tools = work / "tools"
        shutil.copytree(_NODE_FOLDER, tools)
        log = f"{tool.name}-web"
        self.commands.run(log, [*npm, "ci", "--ignore-scripts"], folder=tools, environment=environment)
        pnpm = tools / "node_modules" / ".bin" / "pnpm"
        for words in (["install", "--frozen-lockfile"], ["exec", "vite", "build"]):
            self.commands.run(log, [pnpm, *words], folder=source, environment=environment)

    def go_in(self, tool: Tool, folder: Path, environment: Mapping[str, str] | None = None) -> Callable[..., str]:
        """A function that runs `go` for the tool in `folder` and returns what it printed."""
        go = self.runtimes.go(tool.go)
        whole = self._environment(tool) | dict(environment or {})
        return lambda *arguments: self.commands.run(tool.name, [go, *arguments], folder=folder, environment=whole)

    def _go(self, tool: Tool, *arguments: str) -> str:
        return self.go_in(tool, tool.folder)(*arguments)

    def _environment(self, tool: Tool) -> dict[str, str]:
        """The caller's own, for its proxy and certificates, with everything fixed that shapes the result."""
        own = {name: value for name, value in os.environ.items() if name != "GOROOT"}
        return own | {
            "CGO_CFLAGS": " ".join(C_FLAGS),
            "CGO_ENABLED": "1" if tool.cgo else "0",
            "GO111MODULE": "on",
            "GOCACHE": str(self.cache / "go" / "build"),
            "GOEXPERIMENT": "",
            "GOFLAGS": "-mod=readonly -buildvcs=false",
            "GOMODCACHE": str(self.cache / "go" / "mod"),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }


def _copy(source: Path, folders: Iterable[tuple[str, str]], target: Path) -> None:
    for origin, place in folders:
        shutil.copytree(source / origin, target / place, copy_function=_copy_writable)
        _make_writable(target / place)


def _copy_writable(source: str, target: str) -> None:
    """Copy a file's content only: the module cache's mode is read-only, its times say nothing."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if Path(source).stat().st_mode & stat.S_IXUSR else 0o644)


def _make_writable(folder: Path) -> None:
    """copytree gives each folder its source's mode, and the module cache's folders are read-only."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o755)
