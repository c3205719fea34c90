"""`scripts/lock`: keeps `requirements/<group>.txt` in step with the dependency groups of `pyproject.toml`."""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from settings import ROOT
from toolchain.errors import ManifestError, ToolchainError

# What the lock files are made with. They name no index, so they work behind any mirror; `--universal` resolves for
# every platform and Python from the oldest supported one on.
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-emit-index-url")

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")


@dataclass
class Pin:
    """One locked package: its version, the number of its hashes, and who asked for it."""

    name: str
    version: str
    hashes: int = 0
    wanted_by: list[str] = field(default_factory=list)


def groups(root: Path = ROOT) -> dict[str, list[Requirement]]:
    """Each dependency group of `pyproject.toml` with its included groups' requirements. Raises ManifestError."""
    path = root / "pyproject.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({error})", "correct it there") from None
    raw = document.get("dependency-groups", {})
    return {name: list(_expand(raw, name, path, ())) for name in raw}


def _expand(raw: Mapping[str, list[Any]], name: str, path: Path, outer: tuple[str, ...]) -> Iterator[Requirement]:
    if name not in raw or name in outer:
        problem = "includes itself" if name in outer else f"there is no group {name!r} to include"
        raise ManifestError(f"{path}: dependency-groups.{outer[-1] if outer else name}: {problem}", "correct it there")
    for item in raw[name]:
        if isinstance(item, dict):
            yield from _expand(raw, item.get("include-group", ""), path, (*outer, name))
            continue
        try:
            yield Requirement(item)
        except InvalidRequirement as error:
            raise ManifestError(f"{path}: dependency-groups.{name}: {item!r}: {error}", "correct it there") from None


def read_lock(text: str) -> list[Pin]:
    """The pins of a lock file. A package has several where its version depends on a marker."""
    pins: list[Pin] = []
    for line in text.splitlines():
        match = _PIN.match(line)
        if match:
            pins.append(Pin(canonicalize_name(match["name"]), match["version"]))
        elif pins and line.strip().startswith("--hash="):
            pins[-1].hashes += 1
        elif pins and line.lstrip().startswith("#"):
            pins[-1].wanted_by.append(line.lstrip("# ").removeprefix("via").strip())
    return pins


def problems(group: str, requirements: Iterable[Requirement], lock: str) -> list[str]:
    """What in a lock file disagrees with its group. Asks no index, so it does not see whether newer versions exist."""
    pins = read_lock(lock)
    found = [f"{pin.name} {pin.version} has no hash" for pin in pins if not pin.hashes]
    direct = {pin.name for pin in pins if f"ml-platform (pyproject.toml:{group})" in pin.wanted_by}
    wanted: set[str] = set()
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        wanted.add(name)
        mine = [pin for pin in pins if pin.name == name]
        if name not in direct:
            found.append(f"{requirement} is not locked")
        found += [
            f"{requirement} is locked at {pin.version}"
            for pin in mine
            if not requirement.specifier.contains(pin.version, prereleases=True)
        ]
    return found + [f"{name} is locked, but no longer asked for" for name in sorted(direct - wanted)]


def check(root: Path = ROOT) -> list[str]:
    """Everything that disagrees, one line each with its file; empty when all is well."""
    known = groups(root)
    folder = root / "requirements"
    lines = [
        f"requirements/{path.name}: pyproject.toml has no such group"
        for path in sorted(folder.glob("*.txt"))
        if path.stem not in known
    ]
    for group, requirements in known.items():
        path = folder / f"{group}.txt"
        if not path.exists():
            lines.append(f"requirements/{group}.txt: is missing")
            continue
        lines += [f"requirements/{group}.txt: {line}" for line in problems(group, requirements, path.read_text())]
    return lines


def refresh(names: Sequence[str], *, upgrade: bool, root: Path = ROOT) -> None:
    """Resolve the named groups (all for none) again. Raises ToolchainError where a group does not resolve."""
    known = groups(root)
    for name in names:
        if name not in known:
            raise ManifestError(f"pyproject.toml: there is no dependency group {name!r}", f"known: {', '.join(known)}")
    for group in names or known:
        print(f"requirements/{group}.txt ...", file=sys.stderr, flush=True)
        target = Path("requirements") / f"{group}.txt"
        command = [*COMPILE, "--python-version", _oldest_python(root), "--group", group, "-o", str(target)]
        done = subprocess.run(
            [*command, *(["--upgrade"] if upgrade else [])],
            cwd=root,
            env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            tail = tuple(done.stderr.strip().splitlines()[-20:])
            raise ToolchainError(f"requirements/{group}.txt cannot be resolved", "correct pyproject.toml", tail)
    for path in sorted((root / "requirements").glob("*.txt")):
        if path.stem not in known:
            print(f"requirements/{path.name}: removed, its group is gone", file=sys.stderr)
            path.unlink()


def _oldest_python(root: Path) -> str:
    document = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return str(document["project"]["requires-python"]).removeprefix(">=")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `scripts/lock`; returns its exit status."""
    parser = argparse.ArgumentParser(
        "scripts/lock",
        description="Lock each dependency group of pyproject.toml, with hashes, into requirements/<group>.txt.",
        epilog="exit status: 0 done, 1 failed or out of step, 2 bad input",
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="groups to lock (default: all)")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a lock file is out of step")
    arguments = parser.parse_args(argv)
    try:
        if arguments.check:
            lines = check()
            for line in lines:
                print(line, file=sys.stderr)
            if lines:
                print("fix: run scripts/lock", file=sys.stderr)
            return 1 if lines else 0
        refresh(arguments.groups, upgrade=arguments.upgrade)
    except ToolchainError as error:
        for line in error.tail:
            print(f"  {line}", file=sys.stderr)
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ManifestError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
