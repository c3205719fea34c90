"""Runs the Pulumi command line on one stack on AWS, and turns its record into a plan."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import aws_state
from ci import events, login
from ci.failure import Failure
from ci.plan import MOST_TEXT, Plan
from mlplatform.plugins import change
from mlplatform.plugins.record import Plugin, Record, changes
from plugins import install
from settings import Paths, SettingsError

COMMANDS = {
    "preview": ("preview",),
    "deploy": ("up", "--yes", "--skip-preview", "--suppress-permalink=true"),
}
RECORDING = change.RECORDING


class NotThere(Failure):
    """A stack that nobody has made yet."""


def ready(name: str, purpose: Literal["preview", "deploy"], root: Path) -> dict[str, str]:
    """The environment in which `pulumi` works on a stack, with the credentials of one purpose.

    Raises:
        NotThere: nobody has made the stack yet. That is an act of its own, by `scripts/up`: a merge must not start to
            cost money in an account where nobody meant to have this environment.
        Failure: it cannot be worked on.
    """
    cluster = login.aws_cluster(name)
    variables = login.environment(cluster, purpose)
    try:
        paths = Paths.from_environment(variables)
        return aws_state.prepare(cluster, paths, print, root, base=variables, create=False)
    except aws_state.NoStack as error:
        raise NotThere(str(error)) from None
    except SettingsError as error:
        raise Failure(str(error)) from None


def settle_plugins(root: Path, variables: Mapping[str, str]) -> None:
    """Make sure, before an update, that the plugins in place may go on with the stack. Raises Failure."""

    def run_(arguments: list[str]) -> None:
        command = ["pulumi", *arguments, "--non-interactive", "--color=never"]
        print(f"+ {' '.join(command)}")
        status = subprocess.run(command, cwd=root, env={**variables, **RECORDING}).returncode
        if status:
            raise Failure(f"pulumi {arguments[0]} failed with status {status}: the lines above say why")

    try:
        change.settle(Record(variables, root), _plugins(variables), run_, print)
    except SettingsError as error:
        raise Failure(str(error)) from None


def preview(root: Path, variables: Mapping[str, str]) -> Plan:
    """Preview the stack that `variables` select: after a refresh where other plugins wrote its state, and then as a
    failure where they would replace or delete anything.
    """
    changed = changes(Record(variables, root).read(), _plugins(variables))
    for line in changed:
        print(f"Pulumi's plugin for {line}")
    found = run("preview", root, variables, *(["--refresh"] if changed else []))
    harm = {step.urn: step.action for step in found.steps if step.action in change.HARM}
    if changed and harm and not found.failed:
        text = change.refusal(changed, change.Preview(harm))
        return found.model_copy(update={"error": text[:MOST_TEXT]})
    return found


def _plugins(variables: Mapping[str, str]) -> frozenset[Plugin]:
    return install.plugins(Paths.from_environment(variables))


def run(purpose: Literal["preview", "deploy"], root: Path, variables: Mapping[str, str], *options: str) -> Plan:
    """Preview or update the stack that `variables` select; the command's own output goes to the job's log."""
    with tempfile.TemporaryDirectory() as folder:
        record, complaints = Path(folder, "events"), Path(folder, "stderr")
        command = [
            "pulumi",
            *COMMANDS[purpose],
            *options,
            "--non-interactive",
            "--color=never",
            f"--event-log={record}",
        ]
        print(f"+ {' '.join(command[:-1])}")
        with complaints.open("wb") as stderr:
            try:
                done = subprocess.run(command, cwd=root, env={**variables, **RECORDING}, stderr=stderr)
            except OSError as error:
                raise Failure(f"{command[0]} cannot be started: {error.strerror}") from None
        said = complaints.read_text(encoding="utf-8", errors="replace")
        print(said, end="")
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines() if record.exists() else []
    return events.plan(lines, _failure(done.returncode, said))


def _failure(status: int, said: str) -> str:
    """What the command line complained about before or beside the engine; empty where it ended well."""
    if status == 0:
        return ""
    text = events.without_traceback(events.plain(said)).removeprefix("error: ")
    return text[:MOST_TEXT] or f"pulumi ended with status {status} and said nothing"
