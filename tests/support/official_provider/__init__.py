"""Pulumi's own Kubernetes provider, built from its Go module: the judge of infra/plugins/kubernetes.

No release of it can be downloaded from a package registry, but its module can. The newest one there is a little older
than the SDK that the platform uses.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from settings import Paths
from toolchain import versions
from toolchain.commands import Commands
from toolchain.runtimes import Runtimes

VERSION = "4.25.0"
BINARY = "pulumi-resource-kubernetes"
MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
# Upstream compiles them in; main.go reads them beside the program.
DATA = ("schema.json", "terraform-mapping.json")
FLAGS = (
    # The compiler takes 3.6 GB and a quarter of an hour of one core; more side by side would take more of both.
    "-p=1",
    "-trimpath",
    "-gcflags=all=-dwarf=false",
    f"-ldflags=-s -w -X {MODULE}/pkg/version.Version={VERSION}",
)
_HERE = Path(__file__).resolve().parent


def build(paths: Paths) -> Path:
    """The folder with the provider and its data, built where it is not yet. Raises ToolchainError."""
    folder = paths.tools / "pulumi-kubernetes" / f"v{VERSION}-{_digest()}"
    with _alone(folder.parent / ".lock"):
        if not (folder / BINARY).is_file():
            _build(paths, folder)
    return folder


def _build(paths: Paths, folder: Path) -> None:
    commands = Commands(logs=paths.cache / "logs" / "toolchain")
    needed = re.search(r"^go (\S+)$", (_HERE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert needed
    version = versions.parse(needed[1])
    assert version
    go = Runtimes(paths.cache, commands, print).go(version)
    environment = {name: value for name, value in os.environ.items() if name != "GOROOT"} | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOCACHE": str(paths.cache / "go" / "build"),
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOMODCACHE": str(paths.cache / "go" / "mod"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }

    def run(*arguments: str) -> str:
        return commands.run("pulumi-kubernetes", [go, *arguments], folder=_HERE, environment=environment)

    partial = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run("build", *FLAGS, "-o", str(partial / BINARY), ".")
    module = Path(run("list", "-m", "-f", "{{.Dir}}", MODULE).strip())
    for name in DATA:
        shutil.copyfile(module / "cmd" / BINARY / name, partial / name)
    partial.rename(folder)


def _digest() -> str:
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
