"""Check format, lint, types and schemas of everything in the repository."""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from cli import app, console, environments, git, steps
from cli.failure import BadInput, Failure
from settings import ROOT, Paths

PYTHON_FOLDERS = ("src", "infra", "scripts/lib", "ml", "apps", "tests")


@dataclass(frozen=True)
class Check:
    """One program over the files it knows; `fix` is the same made to correct what it can."""

    name: str
    command: tuple[str, ...]
    fix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a check ended; `said` is what the program printed."""

    check: Check
    ok: bool
    seconds: float
    said: str


def checks(root: Path, paths: Paths) -> list[Check]:
    """Every check, in the order in which results are shown. A check without files to look at is left out."""
    files = _files(root)
    # Fixtures are wrong on purpose.
    yaml = [name for name in files if name.endswith((".yaml", ".yml")) and "/fixtures/" not in name]
    shell = [name for name in files if _is_shell(root / name)]
    workflows = [name for name in files if name.startswith(".github/workflows/")]
    python = [folder for folder in PYTHON_FOLDERS if (root / folder).is_dir()]
    actionlint = str(paths.bin / "actionlint")
    playbooks = [name for name in files if name.startswith("infra/ansible/") and name.count("/") == 2 and name in yaml]
    every = [
        Check("format", ("ruff", "format", "--check", *python), ("ruff", "format", *python)),
        Check("lint", ("ruff", "check", *python), ("ruff", "check", "--fix", *python)),
        Check("types", ("mypy",)),
        Check("shell", ("shellcheck", *shell)) if shell else None,
        Check("yaml", ("yamllint", "--strict", *yaml)) if yaml else None,
        Check("clusters", ("python", "-m", "settings")) if (root / "clusters").is_dir() else None,
        Check("workflows", (actionlint, *workflows)) if workflows else None,
        Check("workflow security", ("zizmor", "--offline", "--no-progress", *workflows)) if workflows else None,
        Check("playbooks", ("ansible-playbook", "--syntax-check", *playbooks)) if playbooks else None,
        Check("locks", (str(root / "scripts" / "lock"), "--check"), (str(root / "scripts" / "lock"),)),
    ]
    return [check for check in every if check]


def run(check: Check, root: Path, environment: dict[str, str], fix: bool = False) -> Outcome:
    """Run one check; with `fix`, correct first what can be corrected."""
    began = time.monotonic()
    if fix and check.fix:
        subprocess.run(check.fix, cwd=root, env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    try:
        done = subprocess.run(
            check.command, cwd=root, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        said = f"{error.filename} is missing: scripts/lib/run --in ops python -m toolchain install {check.command[0]}"
        return Outcome(check, False, time.monotonic() - began, said)
    return Outcome(check, done.returncode == 0, time.monotonic() - began, (done.stdout + done.stderr).strip())


def _files(root: Path) -> list[str]:
    listing = git.checkout(root).git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in listing.split("\0") if name and (root / name).is_file()]


def _is_shell(path: Path) -> bool:
    if path.suffix in {".sh", ".bash"}:
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.rstrip().endswith((b"bash", b"/sh"))


def _environment(paths: Paths) -> dict[str, str]:
    folder = environments.python("dev").parent
    path = os.pathsep.join([str(folder), str(paths.bin), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "ANSIBLE_CONFIG": str(ROOT / "infra/ansible/ansible.cfg")}


def _act(arguments: argparse.Namespace) -> int:
    paths = Paths.from_environment()
    environment = _environment(paths)
    every = checks(ROOT, paths)
    wanted = [check for check in every if check.name in arguments.names] if arguments.names else every
    if unknown := set(arguments.names) - {check.name for check in every}:
        known = ", ".join(check.name for check in every)
        raise BadInput(f"there is no check {', '.join(sorted(unknown))}", f"choose of: {known}")
    shown = console.out()
    # Corrections write the files that other checks read, so with --fix one follows the other.
    with ThreadPoolExecutor(max_workers=1 if arguments.fix else os.cpu_count() or 1) as pool:
        outcomes = []
        for outcome in pool.map(lambda check: run(check, ROOT, environment, arguments.fix), wanted):
            outcomes.append(outcome)
            word = "[green]ok[/green]    " if outcome.ok else "[red]failed[/red]"
            shown.print(f"{word} {outcome.check.name} [dim]{steps.duration(outcome.seconds)}[/dim]")
            if not outcome.ok:
                shown.print(escape(outcome.said))
    failed = [outcome.check.name for outcome in outcomes if not outcome.ok]
    if failed:
        raise Failure(f"failed: {', '.join(failed)}", "scripts/check --fix corrects format, imports and locks")
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "check", "Check format, lint, types, shell, YAML, clusters, workflows, playbooks and lock files."
    )
    parser.add_argument("names", nargs="*", metavar="CHECK", help="run these checks only")
    parser.add_argument("--fix", action="store_true", help="correct what can be corrected")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
