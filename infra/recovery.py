"""Brings a stack's state back in step with AWS after an update was killed, so that the next one can just run.

A killed update leaves up to two things. The first is its lock, which is released here where its process was one of this
host's and is gone. The second are operations that had begun, and of which the state does not say how they ended:

- creating: the thing may exist, and the state would then never know. It is looked up by what Pulumi had decided to
  create (its name, tags and unchangeable properties, all of which are in the state). Found, it is finished, awaited and
  put into the state; where it was to replace a thing that still stands, it is deleted, and the update makes it again.
- updating, deleting, reading: the thing is in the state as it was before, so the update sets out to do the same again.

This works alike with the official provider: it looks things up itself, by the rows of `plugins.aws`, and never through
the provider, whose `create` never adopts what exists (and whose engine, told to clear a pending create, forgets it).
What is put into the state is then refreshed by whichever provider is installed, so the outputs are that provider's own.
Kubernetes objects need no looking up: they are applied by name on the server, which adopts what is there.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import locks
from plugins.aws.provider import Aws
from plugins.server import Deadline, ProviderError, Row
from settings import ROOT, SettingsError

Report = Callable[[str], None]
Resource = dict[str, Any]

# How long a thing may take that was being created, a cluster above all.
SECONDS = 40 * 60.0


def resolve(stack: str, variables: Mapping[str, str], report: Report, root: Path = ROOT) -> None:
    """Release a dead update's lock and settle what it had begun; instant when there is nothing.

    `variables` is the whole environment of the stack's commands. Raises SettingsError where a person must decide.
    """
    locks.release(stack, variables, report, root)
    pulumi = _Pulumi(stack, variables, root)
    state = json.loads(pulumi.run("stack", "export"))
    pending = state["deployment"].get("pending_operations") or []
    if not pending:
        return
    report(f"The last update of {stack} was interrupted in the middle of {_count(pending)}")
    resources: list[Resource] = state["deployment"].setdefault("resources", [])
    with _as_environment(variables):
        adopted = _settle(pending, resources, report)
    resources += adopted
    state["deployment"]["pending_operations"] = []
    pulumi.run("stack", "import", given=json.dumps(state))
    if adopted:
        targets = [f"--target={resource['urn']}" for resource in adopted]
        pulumi.run("refresh", "--yes", "--skip-preview", *targets)
    report("The state agrees with AWS again")


def _settle(pending: list[dict[str, Any]], resources: list[Resource], report: Report) -> list[Resource]:
    """Deal with each operation; returns the resources that the state must be given."""
    adopted: list[Resource] = []
    clients: dict[str, Aws] = {}
    for operation in pending:
        resource, kind = operation["resource"], operation["type"]
        name = _name(resource)
        if kind != "creating":
            report(f"  {name}: was {kind}; the update does that again")
            continue
        row = _row(resource, resources, clients)
        if row is None:
            report(f"  {name}: was creating; the update applies it again by its name")
            continue
        try:
            identifier = _only(row, resource, [*resources, *adopted])
            if identifier is None:
                report(f"  {name}: was creating; AWS has nothing of it, so the update creates it")
            elif any(known["urn"] == resource["urn"] for known in resources):
                row.delete(identifier, resource["inputs"], Deadline(SECONDS))
                report(f"  {name}: {identifier} was created to replace another that still stands; deleted it")
            else:
                report(f"  {name}: {identifier} was created; putting it into the state")
                adopted.append(_finished(row, resource, identifier))
        except ProviderError as error:
            raise SettingsError(f"{resource['urn']}: was being created, and cannot be looked up: {error}") from None
    return adopted


def _row(resource: Resource, resources: list[Resource], clients: dict[str, Aws]) -> Any:
    """How to look the resource up at AWS; None for what is no AWS resource."""
    provider, _, _ = str(resource.get("provider", "")).rpartition("::")
    if not resource["type"].startswith("aws:") or not resource.get("custom"):
        return None
    if provider not in clients:
        settings: Resource = next((known["inputs"] for known in resources if known["urn"] == provider), {})
        clients[provider] = Aws()
        clients[provider].configure({key: value for key, value in settings.items() if key != "version"})
    row = clients[provider].row(resource["type"])
    if row is None:
        raise SettingsError(f"{resource['urn']}: was being created, and {resource['type']} has no row in plugins.aws")
    return row


def _only(row: Any, resource: Resource, known: list[Resource]) -> str | None:
    """The identifier of what the interrupted create made; None when it made nothing. Raises SettingsError."""
    taken = {one.get("id") for one in known if one["type"] == resource["type"]}
    found = [identifier for identifier in row.find(_plain(resource["inputs"])) if identifier not in taken]
    if len(found) > 1:
        raise SettingsError(
            f"{resource['urn']}: was being created, and AWS has {len(found)} that could be it: {', '.join(found)};"
            " delete those that nothing uses, and run the command again"
        )
    return found[0] if found else None


def _finished(row: Row, resource: Resource, identifier: str) -> Resource:
    """The resource as the state has it once it is created: whole, and ready."""
    inputs = _plain(resource["inputs"])
    outputs = row.update(identifier, inputs, inputs, Deadline(SECONDS))
    return {**resource, "id": identifier, "outputs": {**outputs, "id": identifier}}


def _plain(inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs as a row takes them. Raises SettingsError for secret ones, which no type here has."""
    if "4dabf18193072939515e22adb298388d" in json.dumps(inputs):
        raise SettingsError("a resource with secret inputs was being created; import it by hand (pulumi import)")
    return dict(inputs)


def _name(resource: Resource) -> str:
    """`type name`, as the command line's own lines have it."""
    return f"{resource['type']} {resource['urn'].rpartition('::')[2]}"


def _count(pending: list[Any]) -> str:
    return "one operation" if len(pending) == 1 else f"{len(pending)} operations"


class _Pulumi:
    """Runs commands on one stack."""

    def __init__(self, stack: str, variables: Mapping[str, str], root: Path) -> None:
        self._stack, self._variables, self._root = stack, dict(variables), root

    def run(self, *arguments: str, given: str | None = None) -> str:
        """The standard output. Raises SettingsError with the command's own message."""
        command = ["pulumi", *arguments, f"--stack={self._stack}", "--non-interactive", "--color=never"]
        done = subprocess.run(command, env=self._variables, cwd=self._root, input=given, capture_output=True, text=True)
        if done.returncode:
            raise SettingsError(f"pulumi {' '.join(arguments[:2])} failed:\n{(done.stderr + done.stdout).strip()}")
        return done.stdout


@contextlib.contextmanager
def _as_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """AWS clients take region, credentials and endpoint from this process's environment."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
