"""Show what is up, what is deployed where, and whether every Application is in sync and healthy."""

import argparse
import json
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import app, applications, console, disk, health, links, memory, merge_anyway, merging
from cli.applications import Application
from cli.down import human
from cli.failure import Failure
from cli.health import Check
from cli.kube import Kubectl
from cli.merge_anyway import Shown
from forge import ForgeError
from settings import Cluster, Paths, SettingsError


@dataclass(frozen=True)
class Status:
    """The platform at one moment. `addresses` maps an Application's name to its service's URL."""

    cluster: str
    checks: list[Check]
    applications: list[Application]
    addresses: dict[str, str]
    memory: int
    forge: links.Link
    problem: str = ""
    past_the_rules: list[Shown] = field(default_factory=list)
    """Merges of the last 30 days that an administrator made without the gate."""

    @property
    def ok(self) -> bool:
        """Whether all services answer and every Application is in sync and healthy."""
        return not self.problem and all(one.ok for one in self.checks) and all(a.is_settled for a in self.applications)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cluster": self.cluster,
            "ok": self.ok,
            "services": [one.record() for one in self.checks],
            "applications": [{**one.record(), "url": self.addresses.get(one.name, "")} for one in self.applications],
            "memory_bytes": self.memory,
            "forge": self.forge.url,
            "problem": self.problem,
            "merged_past_the_rules": [
                {"pull_request": one.number, "who": one.record.who, "why": one.record.why, "head": one.record.head}
                for one in self.past_the_rules
            ],
        }


def read(cluster: Cluster, paths: Paths) -> Status:
    """Look at everything; what cannot be seen is said in `problem`."""
    checks = [*health.all_of(cluster, paths, partial(merging.check, cluster, paths)), *disk.checks(disk.folders(paths))]
    kubectl = Kubectl(paths)
    found: list[Application] = []
    problem = ""
    if next(one for one in checks if one.name == "kubernetes").ok:
        try:
            found = applications.all_of(kubectl)
        except Failure as failure:
            problem = f"the Applications cannot be listed: {failure.message}"
    past_the_rules: list[Shown] = []
    if next(one for one in checks if one.name == "forge").ok:
        try:
            past_the_rules = merge_anyway.recent(cluster, paths)
        except (ForgeError, SettingsError) as error:
            problem = problem or f"merges past the rules cannot be listed: {error}"
    addresses = {one.name: links.service_address(kubectl, one, cluster.stages) for one in found}
    return Status(
        cluster.name,
        checks,
        found,
        {name: url for name, url in addresses.items() if url},
        memory.used(),
        links.forge(cluster, paths),
        problem,
        past_the_rules,
    )


def _mark(check: Check) -> str:
    if not check.ok:
        return "[red]down[/red]"
    return "[yellow]warn[/yellow]" if check.fix else "[green]ok[/green]"


def show(status: Status, shown: Console) -> None:
    """Print it as tables."""
    services = Table("service", "", "", box=None, pad_edge=False, header_style="bold")
    for check in status.checks:
        services.add_row(check.name, _mark(check), escape(check.detail))
    shown.print(services, soft_wrap=False)
    for check in status.checks:
        if check.fix and (check.ok or check.name.startswith(("disk", merging.NAME))):
            shown.print(f"{check.name}: {check.fix}", markup=False)
    shown.print()
    if status.applications:
        table = Table("application", "sync", "health", "revision", "image", "url", box=None, pad_edge=False)
        table.header_style = "bold"
        for one in status.applications:
            colour = "green" if one.is_settled else "yellow"
            table.add_row(
                one.name,
                f"[{colour}]{one.sync}[/{colour}]",
                f"[{colour}]{one.health}[/{colour}]",
                one.revision[:10],
                "\n".join(image.rpartition("/")[2][:34] for image in one.images),
                status.addresses.get(one.name, ""),
            )
        shown.print(table, soft_wrap=False)
        for one in status.applications:
            if one.message:
                shown.print(f"{one.name}: {one.message}", markup=False)
        shown.print()
    for merged in status.past_the_rules:
        said = f"#{merged.number} was merged past the rules by {merged.record.who}: {merged.record.why}"
        shown.print(said, markup=False)
    if status.problem:
        shown.print(f"[red]{escape(status.problem)}[/red]")
    shown.print(f"forge   {status.forge.url} ({status.forge.login})", markup=False)
    shown.print(f"memory  {human(status.memory)}")


def _act(arguments: argparse.Namespace) -> int:
    status = read(app.cluster(arguments.cluster), Paths.from_environment())
    if arguments.json:
        sys.stdout.write(json.dumps(status.record(), indent=2) + "\n")
    else:
        show(status, console.out())
    return 0 if status.ok else 1


def main() -> int:
    """The verb."""
    parser = app.parser(
        "status",
        "Show what is up, what is deployed where, and whether every Application is in sync and healthy.\n"
        "Exits with 0 when all is well, else with 1.",
    )
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
