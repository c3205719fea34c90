"""Check what the platform needs of this machine and whether it works: what is wrong, and what fixes it."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rich.markup import escape

from cli import app, console, disk, git, health, prune, up
from cli.down import human
from cli.failure import Failure
from cli.health import Check
from images import store as images
from mlplatform.host import packages
from mlplatform.toolchain.first_use import TrustError
from settings import ROOT, Cluster, Paths, SettingsError
from toolchain import ToolchainError, find, load, trusted

# What the setup of a host refuses to begin without.
_PREFLIGHT = ROOT / "infra/ansible/roles/preflight/defaults/main.yml"
_GIB = 2**30


def prerequisites(paths: Paths) -> list[Check]:
    """What must be true of a machine before anything is set up."""
    needs = yaml.safe_load(_PREFLIGHT.read_text(encoding="utf-8"))
    places = {"state": paths.state, "cache": paths.cache}
    return [
        _system(),
        _check("root", os.geteuid() == 0, f"user id {os.geteuid()}", "run the verbs as root"),
        _git(),
        _memory(needs["preflight_memory_gib"]),
        *(_disk(name, path, needs["preflight_disk_gib"][name]) for name, path in places.items() if not path.exists()),
        *disk.checks(disk.folders(paths)),
        _tools(paths),
        _packages(),
        _trusted(paths),
    ]


def _check(name: str, ok: bool, detail: str, fix: str) -> Check:
    return Check(name, ok, detail, "" if ok else fix)


def _system() -> Check:
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    name = release.get("PRETTY_NAME", platform.system())
    version = release.get("VERSION_ID", "0")
    ok = release.get("ID") == "debian" and version.isdigit() and int(version) >= 12
    return _check("system", ok, f"{name}, {platform.machine()}", "use Debian 12 or later")


def _git() -> Check:
    if not shutil.which("git"):
        return Check("git", False, "not installed", "apt-get install -y git")
    try:
        git.checkout(ROOT)
    except Failure as failure:
        return Check("git", False, failure.message, failure.fix)
    return Check("git", True, f"{ROOT} is a checkout with a commit")


def _memory(gib: int) -> Check:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal"))
    return _check("memory", total >= gib * _GIB, f"{total / _GIB:.1f} GiB", f"{gib} GiB are needed")


def _disk(name: str, path: Path, gib: int) -> Check:
    """Whether there is room for what is not there yet."""
    existing = next(one for one in [path, *path.parents] if one.exists())
    free = shutil.disk_usage(existing).free
    fix = f"{gib} GiB are needed: free some, or set ML_PLATFORM_{name.upper()}_DIR to another disk"
    return _check(f"disk for {name}", free >= gib * _GIB, f"{path}: {free / _GIB:.1f} GiB free", fix)


def _tools(paths: Paths) -> Check:
    try:
        tools = load()
        missing = [name for name, tool in tools.items() if find(tool, paths) is None]
    except ToolchainError as error:
        return Check("tools", False, str(error), "correct infra/toolchain/tools.toml")
    detail = f"{len(tools) - len(missing)} of {len(tools)} ready" + (
        f"; missing {', '.join(missing)}" if missing else ""
    )
    return _check("tools", not missing, detail, "scripts/up makes them")


def _packages() -> Check:
    """Whether apt's lists on disk have newer packages of what holds containers apart from the host."""
    command = ["apt-cache", "policy", *packages.WALL]
    try:
        done = subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return Check("packages", True, "apt cannot be asked")
    if not (found := packages.newer(done.stdout)):
        return Check("packages", True, f"no newer {' or '.join(packages.WALL)} in apt's lists")
    detail = ", ".join(f"{name} {best} (installed: {there})" for name, (there, best) in found.items())
    return Check("packages", True, f"newer: {detail}", "scripts/up --upgrade-packages installs it; pods go on")


def _trusted(paths: Paths) -> Check:
    """What upstream served without a sum that a commit pins, and who said that it is right."""
    try:
        found = [*trusted(paths), *images.trusted(paths)]
    except (TrustError, ToolchainError) as error:
        return Check("trusted on first use", False, str(error), "as said above")
    shown = [f"{one.name} (sha256 {one.sha256[:12]}... of {one.source}, since {one.since})" for one in found]
    detail = "; ".join(shown) or "nothing: what is used of upstream's files is pinned"
    return Check("trusted on first use", True, detail)


def _settings(name: str) -> tuple[Check, Cluster | None]:
    file = f"clusters/{name}/cluster.yaml"
    try:
        return Check("settings", True, f"{file} is valid"), app.cluster(name)
    except SettingsError as error:
        return Check("settings", False, str(error), f"correct {file}"), None


def _main(setup: up.Setup) -> Check:
    """Whether the forge's main has the commits of this checkout."""
    try:
        advice = setup.advice()
    except (Failure, SettingsError) as error:
        return Check("checkout", False, f"cannot be compared with the forge's main: {error}", "scripts/up")
    return _check("checkout", not advice, advice or "the forge's main has its commits", "propose them as said above")


def unused(cluster: Cluster, paths: Paths) -> Check:
    """Whether `scripts/prune` would remove something; it asks, so nothing goes unless somebody runs it."""
    try:
        found = prune.look(cluster, paths, prune.LIMIT, datetime.now(UTC))
    except (Failure, SettingsError) as error:
        return Check("unused", True, f"cannot be told: {error}")
    if not found.going:
        return Check("unused", True, "nothing that is old or too much")
    return Check(
        "unused", True, f"{human(found.size)} are old or too much", "scripts/prune lists and, after asking, removes it"
    )


def examine(name: str, paths: Paths) -> list[Check]:
    """Every check. The platform's own health is looked at only where one was set up."""
    settings, cluster = _settings(name)
    checks = [*prerequisites(paths), settings]
    if cluster is None:
        return checks
    if not paths.kubeconfig.is_file():
        return [*checks, Check("platform", True, "not set up here yet: scripts/up does that")]
    more: list[Callable[[], Check]] = [lambda: _main(up.Setup(cluster, paths)), lambda: unused(cluster, paths)]
    return [*checks, *health.at_once([*health.probes(cluster, paths), *more])]


def mark(check: Check) -> str:
    """What stands before a check: well, well but not for long, or not well."""
    if not check.ok:
        return "[red]not[/red] "
    return "[yellow]warn[/yellow]" if check.fix else "[green]ok[/green]  "


def _act(arguments: argparse.Namespace) -> int:
    checks = examine(arguments.cluster, Paths.from_environment())
    if arguments.json:
        sys.stdout.write(json.dumps([one.record() for one in checks], indent=2) + "\n")
    else:
        shown = console.out()
        for one in checks:
            shown.print(f"{mark(one)} {one.name}: {escape(one.detail)}")
            if one.fix:
                shown.print(f"     [bold]fix:[/bold] {escape(one.fix)}")
    return 0 if all(one.ok for one in checks) else 1


def main() -> int:
    """The verb."""
    parser = app.parser(
        "doctor",
        "Check what the platform needs of this machine and whether it works; changes nothing.\n"
        "Exits with 0 when all is well, else with 1.",
    )
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
