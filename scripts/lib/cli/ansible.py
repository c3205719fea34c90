"""Run a playbook on this host: the task at hand is the progress, and a failed task's own words are the failure."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.failure import BadInput, Failure
from cli.steps import Context
from mlplatform.host.removal import Change
from settings import ROOT, Paths

FOLDER = ROOT / "infra" / "ansible"
# The role that looks before anything is changed: what it refuses is for the caller to put right.
_PREFLIGHT = "preflight"
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?:(?P<role>[\w-]+) : )?(?P<name>.*?)\.?\] \**$")
_FAILED = re.compile(r"^(?:fatal|failed): \[[^\]]*\].*? => (?P<result>\{.*)$")
_CHANGED = re.compile(r"^changed: \[[^\]]*\](?: => \(item=.*?\))? => (?P<result>\{.*\})$")
_RECAP = re.compile(r"^\S+ +: ok=(?P<ok>\d+) +changed=(?P<changed>\d+) ")


class Output:
    """What ansible-playbook prints, read line by line."""

    def __init__(self) -> None:
        self.role = ""
        self.task = ""
        self.problem = ""
        self.changed: int | None = None
        self.changes: list[Change] = []

    def line(self, text: str) -> None:
        """Take in one line."""
        if task := _TASK.match(text):
            self.role, self.task = task["role"] or "", task["name"]
        elif failed := _FAILED.match(text):
            self.problem = _message(failed["result"])
        elif changed := _CHANGED.match(text):
            self.changes.append(Change(self.task, json.loads(changed["result"])))
        elif recap := _RECAP.match(text):
            self.changed = int(recap["changed"])

    @property
    def place(self) -> str:
        """Role and task at hand."""
        return f"{self.role}: {self.task}" if self.role else self.task


def playbook(
    context: Context, name: str, cluster: str, paths: Paths, *, dry_run: bool = False, **variables: bool
) -> str:
    """Run `infra/ansible/<name>` (in check mode with `dry_run`) and return a note on what it changed.

    Raises BadInput when the host is refused before any change, else Failure.
    """
    output = _run(context, name, cluster, paths, options=["--check"] if dry_run else [], variables=variables)
    return "nothing changed" if output.changed == 0 else f"{output.changed} changed"


def changes(context: Context, name: str, cluster: str, paths: Paths, **variables: bool) -> list[Change]:
    """What `infra/ansible/<name>` would change, told by its own tasks in check mode. Raises like `playbook`."""
    return _run(context, name, cluster, paths, options=["--check", "-v"], variables=variables).changes


def _run(
    context: Context, name: str, cluster: str, paths: Paths, *, options: Sequence[str], variables: Mapping[str, bool]
) -> Output:
    output = Output()

    def listen(line: str) -> None:
        output.line(line)
        if output.place:
            context.progress(output.place)

    values = {"cluster": cluster, "state_dir": str(paths.state), "cache_dir": str(paths.cache), **variables}
    # The playbook program lies beside the interpreter that runs this verb.
    program = Path(sys.executable).with_name("ansible-playbook")
    try:
        context.command(
            program,
            FOLDER / name,
            "--extra-vars",
            json.dumps(values),
            *options,
            environment=_environment(paths),
            folder=FOLDER,
            on_line=listen,
        )
    except Failure as failure:
        if not output.problem:
            raise
        if output.role == _PREFLIGHT:
            raise BadInput(output.problem, "put that right, then run this again") from None
        raise Failure(f"{output.place}: {output.problem}", failure.fix, failure.tail) from None
    return output


def _environment(paths: Paths) -> dict[str, str]:
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        # Ansible refuses a locale that is not UTF-8; C.UTF-8 exists on every Debian.
        "LC_ALL": "C.UTF-8",
        "PATH": f"{paths.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def _message(result: str) -> str:
    try:
        content: Any = json.loads(result)
    except ValueError:
        return result
    message = content.get("msg") or content.get("stderr") or result
    lines = message if isinstance(message, list) else [str(message)]
    # A failed command's message only says that it failed; what it said itself tells why.
    if said := content.get("stderr") or content.get("module_stderr"):
        lines = [*lines, str(said).strip()]
    return "\n".join(str(line) for line in lines)
