"""Runs the Pulumi command line with progress, for this machine's stack and for those on AWS."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.steps import Context
from mlplatform.plugins import change
from mlplatform.plugins.record import Record
from plugins import install
from settings import Paths

UP = ("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color=never", "--suppress-permalink=true")
DESTROY = ("pulumi", "destroy", "--yes", "--skip-preview", "--non-interactive", "--color=never")


def run(context: Context, command: Sequence[str], variables: Mapping[str, str], root: Path, fix: str) -> str:
    """Run a long command; returns what it says of resources. Raises Failure."""

    def listen(line: str) -> None:
        # Pulumi writes a line of dots every second.
        if line.strip() and not line.startswith("@"):
            context.progress(line.strip())

    said = context.command(*command, environment=variables, folder=root, on_line=listen, fix=fix)
    _, found, summary = said.rpartition("Resources:")
    return ", ".join(line.strip() for line in summary.splitlines()[1:] if line.startswith("    ")) if found else ""


def settle_plugins(context: Context, variables: Mapping[str, str], paths: Paths, root: Path, fix: str) -> None:
    """Make sure that the plugins in place may go on with the stack. Raises SettingsError where they may not."""

    def pulumi(arguments: list[str]) -> None:
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        run(context, command, {**variables, **change.RECORDING}, root, fix)

    change.settle(Record(variables, root), install.plugins(paths), pulumi, context.say)
