"""The stacks on AWS in a copy of the checkout, against the emulator: what `scripts/up --environment` would run."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_plane.stack import cache, checkout
from emulator.process import Emulator, emulator

# A line of the progress display that says that a step has begun.
BEGUN = re.compile(r" (creating|updating|deleting|replacing) \(0s\)")


@dataclass(frozen=True)
class Stacks:
    """`root` is a git checkout; `environment` is what every stack's commands are given."""

    root: Path
    aws: Emulator
    environment: dict[str, str]

    def prepare(self, name: str) -> "Stack":
        """What `scripts/up --environment` does before `pulumi up`."""
        program = (
            "import json, sys, settings, stack; lines = [];"
            "env = stack.prepare(settings.load_cluster(sys.argv[1]), settings.Paths.from_environment(), lines.append);"
            "print(json.dumps([lines, env]))"
        )
        command = [sys.executable, "-c", program, name]
        done = subprocess.run(command, env=self.environment, cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines, environment = json.loads(done.stdout)
        return Stack(name, self.root, environment, tuple(lines))

    def changed_files(self) -> str:
        """What `git status` finds in the checkout: nothing, if the commands kept to the state directory."""
        return subprocess.run(
            ["git", "status", "--porcelain"], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout


@dataclass(frozen=True)
class Stack:
    """One stack; `lines` are what preparing it reported."""

    name: str
    root: Path
    environment: dict[str, str]
    lines: tuple[str, ...]

    def pulumi(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run plain `pulumi` from the checkout's root; raises AssertionError with its output when it fails."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, f"pulumi {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def killed(self, verb: str, steps: int, wait: float) -> int:
        """Kill `pulumi up` or `destroy` and all that it started, `wait` seconds after it has begun so many steps.

        Returns how many had begun; fewer when it ended before.
        """
        command = self.command(verb, "--yes", "--skip-preview")
        begun = 0
        with subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                begun += bool(BEGUN.search(line))
                if begun >= steps:
                    time.sleep(wait)
                    break
            _kill_session(process.pid)
        return begun

    def command(self, *arguments: str) -> list[str]:
        return ["pulumi", *arguments, "--non-interactive", "--color=never"]

    def resolve(self) -> list[str]:
        """What every command does first: `recovery.resolve`. Returns the lines that it reports."""
        program = (
            "import json, os, pathlib, sys, recovery; lines = [];"
            "recovery.resolve(sys.argv[1], dict(os.environ), lines.append, pathlib.Path.cwd());"
            "print(json.dumps(lines))"
        )
        command = [sys.executable, "-c", program, self.name]
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def exported(self) -> dict[str, Any]:
        """The state as the backend keeps it, by `pulumi stack export`."""
        return dict(json.loads(self.pulumi("stack", "export").stdout)["deployment"])

    def steps(self, *arguments: str) -> dict[str, int]:
        """How many steps of each kind a preview plans, such as `create` and `same`."""
        done = self.pulumi("preview", "--json", *arguments)
        return {str(kind): int(count) for kind, count in json.loads(done.stdout)["changeSummary"].items()}


def _kill_session(leader: int) -> None:
    """SIGKILL every process of a session: plugins have process groups of their own, and must not finish anything."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended by itself
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(path.parent.name), signal.SIGKILL)


@contextmanager
def aws_stacks(work: Path, changes: Mapping[str, dict[str, Any]]) -> Iterator[Stacks]:
    """Stacks that nothing was applied to yet; the emulator runs until the block ends.

    `changes` are merged into the clusters' files: what is protected must not be, for it to be destroyed.
    """
    root = work / "checkout"
    checkout(root, changes)
    environment = {
        "HOME": str(work),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{root / 'infra'}{os.pathsep}{root / 'src'}",
        "ML_PLATFORM_STATE_DIR": str(work / "state"),
        "ML_PLATFORM_CACHE_DIR": str(cache(work / "cache")),
        "TMPDIR": str(work),
    }
    with emulator(work / "aws", "--prepared", checkout=root) as aws:
        yield Stacks(root, aws, {**environment, **aws.variables})
