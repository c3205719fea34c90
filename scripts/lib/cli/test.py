"""Run the tests, tier by tier: without arguments `fast`, `host` and `core`; the other tiers by name."""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from cli import affected, ansible, app, console, environments, evidence, lock, process, results, steps
from cli.failure import BadInput, Failure
from mlplatform.base_layer.tools import PROGRAMS
from mlplatform.checks.plan import CHECK, JOBS, RENDER, UNIT
from settings import ROOT, Paths

_BUILT = ("tools", "render", "policy")
# The tiers that a job of pull requests runs.
_RUN = {UNIT: ("unit",), RENDER: ("render", "policy")}
_LIVE = ("host", "core")
# In the place of tiers: all that needs no platform, scripts/check too.
FAST = "fast"
# Run by name before a change that concerns them is done; the command writes down how they ended.
_NAMED = ("attacks", "faults", "infrastructure", "upgrade", "providers")
# In the place of tiers: what the checkout's changes need, as jobs of pull requests run it.
AFFECTED = "affected"
# The tests of what trains, measures and serves need torch, ONNX Runtime and BentoML, the others need none of these.
ML = ("tests/ml", "tests/mlplatform/evaluation")
_ENVIRONMENTS = {"dev": [f"--ignore={folder}" for folder in ML], "dev-ml": list(ML)}
# What tests without a platform need of a host, and whose facts say so.
_PACKAGES, _CLUSTER = "packages.yml", "local"
_NO_TESTS = 5  # pytest's exit status when nothing was selected
# Tells the fixture `seed` of tests/conftest.py its value.
_SEED = "ML_PLATFORM_TEST_SEED"
# Tests wait for programs as long as they compute: one worker more than cores. A file's tests stay together: they share
# what they started.
_WORKERS = min(4, len(os.sched_getaffinity(0)) + 1)
_SIDE_BY_SIDE = (f"--numprocesses={_WORKERS}", "--dist=loadfile", "--no-loadscope-reorder")


@dataclass(frozen=True)
class Tier:
    """A set of tests: what selects them, and what they need. `platform`: one that is up. `alone`: that nobody else
    drives this machine's platform, up or not."""

    name: str
    expression: str
    platform: bool = False
    alone: bool = False
    environments: tuple[str, ...] = ("dev",)


TIERS = {
    "unit": Tier(
        "unit", " and ".join(f"not {name}" for name in (*_BUILT, *_LIVE, *_NAMED)), environments=("dev", "dev-ml")
    ),
    "tools": Tier("tools", f"tools and not ({' or '.join(_NAMED)})", environments=("dev", "dev-ml")),
    "render": Tier("render", "render"),
    "policy": Tier("policy", "policy"),
    "host": Tier("host", "host", platform=True),
    "core": Tier("core", "core", platform=True),
    "attacks": Tier("attacks", "attacks"),
    "faults": Tier("faults", "faults", platform=True),
    "infrastructure": Tier("infrastructure", "infrastructure", platform=True),
    # Makes its platform by itself.
    "upgrade": Tier("upgrade", "upgrade", alone=True),
    "providers": Tier("providers", "providers"),
}


@dataclass(frozen=True)
class Count:
    """How many tests ended how; an error counts as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


@dataclass(frozen=True)
class Ran:
    """One test of a report: its tier, the seconds that it took, and the seeds that it used."""

    tier: str
    seconds: float
    seeds: frozenset[int]


def count(report: Path) -> Count:
    """The counts in a JUnit report, none when there is no (whole) report."""
    total = Count()
    for suite in _elements(report, "testsuite"):
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        total += Count(tests - failed - skipped, failed, skipped)
    return total


def ran(report: Path) -> list[Ran]:
    """The tests in a JUnit report of which tests/conftest.py says the tier."""
    found = []
    for case in _elements(report, "testcase"):
        said = [(one.get("name"), one.get("value", "")) for one in case.iter("property")]
        seeds = frozenset(int(value) for name, value in said if name == "seed")
        found += [Ran(value, float(case.get("time", 0)), seeds) for name, value in said if name == "tier"]
    return found


def _elements(report: Path, tag: str) -> list[ElementTree.Element]:
    try:
        return list(ElementTree.parse(report).getroot().iter(tag))  # noqa: S314 - pytest wrote it a moment ago
    except (OSError, ElementTree.ParseError):
        return []


def selection(group: str, extra: Sequence[str]) -> list[str] | None:
    """What to tell pytest in the environment `group`, None when `extra` names tests, and all are of another one."""
    named = [one for one in extra if one.startswith("tests/")]
    if not named:
        return [*_ENVIRONMENTS[group], *extra]
    chosen = [part for one in named for part in _of(group, one)]
    if not chosen:
        return None
    return [*(one for one in extra if one not in named), *chosen]


def _of(group: str, named: str) -> list[str]:
    """What of a test, file or folder that is named runs in the environment `group`."""
    path = Path(named.partition("::")[0])
    if any(path.is_relative_to(folder) for folder in ML):
        return [named] if group == "dev-ml" else []
    held = [folder for folder in ML if Path(folder).is_relative_to(path)]
    return held if group == "dev-ml" else [*(f"--ignore={folder}" for folder in held), named]


class Session:
    """One run of the verb: what was run, and what it came to. `seed`: for tests that choose at random, None for theirs;
    `may_be_empty`: a tier that was asked for may have no test."""

    def __init__(
        self,
        paths: Paths,
        artifacts: Path,
        extra: Sequence[str] = (),
        *,
        seed: int | None = None,
        may_be_empty: bool = False,
    ) -> None:
        self.paths, self.artifacts, self.extra = paths, artifacts, extra
        self.seed, self.may_be_empty = seed, may_be_empty
        self.total = Count()
        self.problems: list[str] = []
        self.seeds: defaultdict[str, set[int]] = defaultdict(set)
        self._asked: list[str] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._shown = console.out()
        self._parts: list[tuple[str, float]] = []

    def pytest(self, tiers: Iterable[Tier], targets: Sequence[str] = ()) -> None:
        """Run the tests of `tiers`, those with the same needs together; only `targets` where they are given."""
        wanted = list(tiers)
        self._asked += [tier.name for tier in wanted]
        for group in _ENVIRONMENTS:
            chosen = [tier for tier in wanted if group in tier.environments]
            arguments = selection(group, [*self.extra, *targets])
            if chosen and arguments is not None:
                self._pytest("+".join(tier.name for tier in chosen), group, arguments, chosen)

    def _pytest(self, name: str, group: str, arguments: list[str], tiers: list[Tier]) -> None:
        report = self.artifacts / evidence.report(name, group)
        report.unlink(missing_ok=True)
        expression = " or ".join(f"({tier.expression})" for tier in tiers)
        # Settings are the project's own, whatever lies beside the tests that were chosen.
        settings = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={ROOT}"]
        command = [str(environments.python(group)), "-m", "pytest", *settings, "-m", expression]
        command.append(f"--junitxml={report}")
        if not any(tier.platform or tier.alone for tier in tiers):
            command += _SIDE_BY_SIDE
        self.heading(f"{name} ({group})")
        environment = _environment(self.paths, group)
        if self.seed is not None:
            environment[_SEED] = str(self.seed)
        done = subprocess.run([*command, *arguments], cwd=ROOT, env=environment)
        self.total += count(report)
        for test in ran(report):
            self._seconds[test.tier] += test.seconds
            self.seeds[test.tier] |= test.seeds
        if done.returncode not in (0, _NO_TESTS):
            self.problems.append(f"{name} ({group})")

    def command(self, name: str, *command: str | Path) -> bool:
        """Run a verb and say whether it succeeded."""
        self.heading(name)
        if subprocess.run([str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL).returncode == 0:
            return True
        self.problems.append(name)
        return False

    def heading(self, text: str) -> None:
        """Say what comes next."""
        self._parts.append((text, time.monotonic()))
        self._shown.print(f"\n[bold]== {text}[/bold]")
        sys.stdout.flush()

    def close(self) -> int:
        """Print the sum, last, where people and CI look for it; returns the exit status."""
        shown = console.out()
        shown.print("\ntook", markup=False)
        for (name, began), (_, ended) in itertools.pairwise([*self._parts, ("", time.monotonic())]):
            shown.print(f"  {name:<32}{steps.duration(ended - began):>14}", markup=False)
        if self._seconds:
            shown.print("tests of each tier, one after the other, would take", markup=False)
        for name in (name for name in TIERS if name in self._seconds):
            shown.print(f"  {name:<32}{steps.duration(self._seconds[name]):>14}", markup=False)
        empty = self._empty()
        if empty:
            shown.print(f"\n{empty}", markup=False)
        if self.problems:
            # A failed command is a failure even when no test of its own says so.
            self.total += Count(failed=0 if self.total.failed else len(self.problems))
            shown.print(f"\nfailed: {', '.join(self.problems)}; logs and reports are in {self.artifacts}", markup=False)
        sys.stdout.write(f"\n{self.total}\n")
        if empty:
            return BadInput.code
        return 1 if self.problems or not (self.total.passed or self.may_be_empty) else 0

    def _empty(self) -> str:
        """What is wrong with a run that found no test of a tier, or nothing. A choice within the tiers may leave some
        out, not all; of a run that failed nobody knows what it would have found."""
        without = [name for name in self._asked if name not in self._seconds]
        if self.problems or self.may_be_empty or not without or (self.extra and len(without) < len(self._asked)):
            return ""
        if self.extra:
            return (
                f"no test of {', '.join(without)} is chosen by {' '.join(self.extra)}: scripts/test -h shows the tiers"
            )
        return f"there is no test of tier {', '.join(without)}: no test has its marker (pyproject.toml lists them)"


class Tools:
    """Makes the tools ready beside the fast tests: those named, else all, and the Debian packages of a host."""

    def __init__(self, log: Path, paths: Paths, names: Sequence[str] = ()) -> None:
        self._log, self._paths, self._names = log, paths, names
        self._failure: Failure | None = None
        self._thread = threading.Thread(target=self._make, name="tools", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        try:
            with self._log.open("w", encoding="utf-8") as log:
                if not self._names and os.geteuid() == 0:
                    ansible.playbook(steps.Context(log, console.out()), _PACKAGES, _CLUSTER, self._paths)
                process.stream([sys.executable, "-m", "toolchain", "install", *self._names], log)
        except Failure as failure:
            self._failure = failure

    def wait(self, begin: Callable[[], None]) -> None:
        """Wait until they are ready, and say now and then what is being made; `begin` is called where that takes time.
        Raises Failure."""
        began = time.monotonic()
        # To find that all are there takes a moment too.
        self._thread.join(timeout=2)
        if self._thread.is_alive():
            begin()
        while self._thread.is_alive():
            self._thread.join(timeout=30)
            if self._thread.is_alive():
                last = (self._log.read_text(encoding="utf-8").splitlines() or [""])[-1]
                console.out().print(f"... tools, {steps.duration(time.monotonic() - began)}: {last}", markup=False)
        if self._failure:
            raise self._failure


def _environment(paths: Paths, group: str) -> dict[str, str]:
    folder = environments.python(group).parent
    path = os.pathsep.join([str(folder), str(paths.bin), os.environ.get("PATH", os.defpath)])
    # Compiled files of the tests would lie in the checkout, and DVC hashes folders of it.
    return {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def fast(session: Session) -> None:
    """All that needs no platform: tests without tools while these are made, then the others."""
    tools = Tools(session.artifacts / evidence.TOOLS, session.paths)
    try:
        session.pytest([TIERS["unit"]])
        tools.wait(lambda: session.heading("tools"))
    except BaseException:
        process.cancel_all()
        raise
    session.command("check", ROOT / "scripts" / "check")
    session.pytest(TIERS[name] for name in _BUILT)


def named(session: Session, tier: Tier) -> None:
    """A tier that is run by name. How it ended is written into the checkout, unless only a part of it was run."""
    before, began = session.total, time.monotonic()
    session.pytest([tier])
    if session.extra:
        return
    found = Count(
        session.total.passed - before.passed,
        session.total.failed - before.failed,
        session.total.skipped - before.skipped,
    )
    path = results.path(ROOT, tier.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds, seeds = time.monotonic() - began, session.seeds[tier.name]
    path.write_text(results.document(ROOT, tier.name, asdict(found), seconds, seeds), encoding="utf-8")
    console.out().print(f"written: {path.relative_to(ROOT)}", markup=False)


def live(session: Session, tiers: list[Tier]) -> None:
    """The tiers that need the platform, which is set up for them and belongs to them until they are done."""
    with lock.session("test"):
        _live(session, tiers)


def _live(session: Session, tiers: list[Tier]) -> None:
    if session.command("up", ROOT / "scripts" / "up"):
        for tier in tiers:
            if tier.name in _NAMED:
                named(session, tier)
            else:
                session.pytest([tier])
    else:
        evidence.collect(session.paths, session.artifacts / evidence.UP)


def run_affected(session: Session, jobs: Iterable[str], since: str | None) -> None:
    """Run what the checkout's changes need of `jobs`. Raises BadInput and Failure."""
    wanted = set(jobs)
    needed = affected.since(ROOT, since)
    chosen = [job for job in needed.jobs if job in wanted]
    programs = PROGRAMS if RENDER in chosen else ("actionlint",) if CHECK in chosen else ()
    # Tools that are there are taken as they are: a job has those of the base layer, and could make none.
    if missing := [name for name in programs if not (session.paths.bin / name).exists()]:
        Tools(session.artifacts / evidence.TOOLS, session.paths, missing).wait(lambda: session.heading("tools"))
    for job in chosen:
        if job == CHECK:
            session.command(CHECK, ROOT / "scripts" / "check")
        else:
            session.pytest([TIERS[name] for name in _RUN[job]], affected.targets(ROOT, needed.targets[job]))
    if not chosen:
        console.out().print("nothing of this change concerns the repository's own checks", markup=False)


def _artifacts() -> Path:
    """The folder for logs and reports, without those of earlier runs."""
    folder = evidence.folder()
    for path in evidence.clear(folder):
        console.out().print(f"stays, because scripts/test did not make it: {path}", markup=False)
    return folder


def _affected(arguments: argparse.Namespace) -> int:
    jobs = [name for name in arguments.tiers if name != AFFECTED]
    if unknown := set(jobs) - set(JOBS):
        raise BadInput(f"affected has no part {', '.join(sorted(unknown))}", f"choose of: {', '.join(JOBS)}")
    paths = Paths.from_environment()
    session = Session(paths, _artifacts(), arguments.pytest, seed=arguments.seed, may_be_empty=True)
    run_affected(session, jobs or JOBS, arguments.since)
    return session.close()


def _act(arguments: argparse.Namespace) -> int:
    if AFFECTED in arguments.tiers:
        return _affected(arguments)
    if arguments.since is not None:
        raise BadInput("--since is a part of affected", "scripts/test affected --since=COMMIT")
    if unknown := [name for name in arguments.tiers if name not in (FAST, *TIERS)]:
        raise BadInput(f"there is no tier {', '.join(unknown)}", f"choose of: {FAST}, {', '.join(TIERS)}")
    paths, artifacts = Paths.from_environment(), _artifacts()
    session = Session(paths, artifacts, arguments.pytest, seed=arguments.seed)
    chosen = [TIERS[name] for name in TIERS if name in (arguments.tiers or _LIVE)]
    if FAST in arguments.tiers or not arguments.tiers:
        fast(session)
    elif any(tier.name in (*_BUILT, *_NAMED) for tier in chosen):
        Tools(artifacts / evidence.TOOLS, paths).wait(lambda: session.heading("tools"))
    if offline := [tier for tier in chosen if not tier.platform and tier.name not in _NAMED]:
        session.pytest(offline)
    for tier in chosen:
        if tier.name in _NAMED and not tier.platform:
            with lock.session("test") if tier.alone else contextlib.nullcontext():
                named(session, tier)
    if needing := [tier for tier in chosen if tier.platform]:
        live(session, needing)
    return session.close()


def main() -> int:
    """The verb."""
    parser = app.parser(
        "test",
        f"Run the tests of the given tiers; without any, {FAST}, {' and '.join(_LIVE)}.\n\n"
        f"{FAST} is scripts/check and {', '.join(('unit', *_BUILT))}, without a platform. For {' and '.join(_LIVE)}\n"
        "the platform is set up; core ends with scripts/down --purge --yes --keep-cache, which deletes its data.\n\n"
        f"{', '.join(_NAMED)} run by name only, and write their result to\n"
        "docs/results. providers first builds Pulumi's official Kubernetes provider (15 minutes of one core);\n"
        "upgrade first purges the platform of this machine.\n\n"
        f"affected runs what a pull request's jobs run: those of {', '.join(JOBS)}, or of those named beside it,\n"
        "that the changes since main need.",
    )
    parser.add_argument("tiers", nargs="*", metavar="TIER", help=f"one of {FAST}, {', '.join(TIERS)}; or affected")
    parser.add_argument(
        "--since", metavar="COMMIT", help="with affected: the changes since there (default: since main)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="what tests that choose at random choose by")
    argv = sys.argv[1:]
    # argparse has no notion of "the rest goes to pytest" beside other positionals.
    own, extra = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    parser.set_defaults(pytest=extra)
    parser.usage = "scripts/test [-h] [TIER ...] [-- PYTEST ARGUMENT ...]"
    return app.run(parser, _act, own)


if __name__ == "__main__":
    sys.exit(main())
