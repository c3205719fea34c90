"""The Python environments of the dependency groups; `scripts/lib/run` makes them."""

import os
from pathlib import Path

from cli import process
from cli.steps import Context
from settings import ROOT

RUN = ROOT / "scripts" / "lib" / "run"


def make(context: Context, group: str) -> Path:
    """Make the environment of `group` unless it is there; returns its folder. Raises Failure."""
    return Path(context.command(RUN, "--venv", group, environment=dict(os.environ)).splitlines()[-1])


def python(group: str) -> Path:
    """The interpreter of `group`, whose environment is made when it is missing. Raises Failure."""
    folder = process.output([RUN, "--venv", group], timeout=1800).strip()
    return Path(folder) / "bin" / "python"
