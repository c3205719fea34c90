"""`python -m toolchain`: the toolchain by hand."""

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from types import FrameType

from settings import Paths, SettingsError
from toolchain import manifest, upgrade
from toolchain.errors import Cancelled, ManifestError, ToolchainError
from toolchain.installer import Installed, Installer, install


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 bad input, 130 or 143 interrupted."""
    signal.signal(signal.SIGTERM, _stop)
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.action(arguments) or 0)
    except (ToolchainError, SettingsError) as error:
        for line in getattr(error, "tail", ()):
            print(f"  {line}", file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ManifestError | SettingsError) else 1
    except (KeyboardInterrupt, SystemExit) as interrupt:
        print(f"error: {Cancelled()}", file=sys.stderr)
        return 130 if isinstance(interrupt, KeyboardInterrupt) else 143


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m toolchain", description="The platform's pinned tools.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("install", help="make tools ready (all without NAME)")
    command.add_argument("names", nargs="*", metavar="NAME", help="a tool or one of its binaries")
    command.set_defaults(action=_install)
    command = commands.add_parser("list", help="print each tool, its pinned version and where it comes from")
    command.set_defaults(action=_list)
    command = commands.add_parser("path", help="print where a binary lies")
    command.add_argument("name", metavar="NAME")
    command.set_defaults(action=_path)
    command = commands.add_parser("upgrade", help="pin another version: rewrites the tool's go.mod and go.sum")
    command.add_argument("name", metavar="NAME")
    command.add_argument("version", metavar="VERSION", help="such as v1.2.3")
    command.set_defaults(action=_upgrade)
    return parser


def _install(arguments: argparse.Namespace) -> None:
    print(summary(install(arguments.names or None, paths=Paths.from_environment())))


def summary(items: Sequence[Installed]) -> str:
    """How many tools are ready and where they came from, such as `13 tools: 2 on PATH, 11 built`."""
    words = {"path": "on PATH", "release": "released by upstream", "build": "built"}
    counts = Counter(item.source for item in items)
    ways = ", ".join(f"{counts[source]} {said}" for source, said in words.items() if counts[source])
    return f"{len(items)} tool{'' if len(items) == 1 else 's'}: {ways}"


def _list(arguments: argparse.Namespace) -> None:
    installer = Installer(Paths.from_environment(), None)
    for tool in manifest.load().values():
        item = installer.ready(tool)
        where = f"{item.source:8}{item.folder}" if item else "missing"
        print(f"{tool.name:12} {item.version if item else tool.version:10} {where}")


def _path(arguments: argparse.Namespace) -> int:
    [tool] = manifest.select(manifest.load(), [arguments.name])
    item = Installer(Paths.from_environment(), None).ready(tool)
    if not item:
        raise ToolchainError(f"{tool.name} is not installed", f"run python -m toolchain install {tool.name}")
    print(item.binaries.get(arguments.name) or "\n".join(map(str, item.binaries.values())))
    return 0


def _upgrade(arguments: argparse.Namespace) -> None:
    upgrade.upgrade(arguments.name, arguments.version, paths=Paths.from_environment())


if __name__ == "__main__":
    sys.exit(main())
