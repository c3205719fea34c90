"""Set up the platform and run the loop once: from a pull request to a served prediction."""

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from cli import app, console, links, lock, up
from cli.failure import BadInput, Failure
from cli.links import Link
from cli.loop import Loop, known_good, member
from cli.steps import Runner
from forge import ForgeError
from settings import Paths


def report(runner: Runner, loop: Loop, pages: list[Link]) -> dict[str, Any]:
    """What `--report` writes."""
    return {
        "steps": [{"name": one.name, "seconds": one.seconds} for one in runner.results],
        "seconds": runner.seconds(),
        "pull_requests": loop.pull_requests(),
        "image": {"reference": loop.reference, "digest": loop.digest},
        "metrics": loop.metrics,
        "prediction": loop.prediction,
        "promotions": loop.promotions,
        "urls": {page.name: page.url for page in pages},
    }


def _act(arguments: argparse.Namespace) -> int:
    target = _writable(arguments.report)
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    if arguments.to and arguments.to not in cluster.stages[1:]:
        known = ", ".join(cluster.stages[1:])
        raise BadInput(f"--to {arguments.to}: no environment to promote to", f"choose of {known}")
    with lock.held("demo"):
        if arguments.up:
            setup, runner = up.set_up(cluster, "demo")
            up.tell_advice(setup)
        else:
            runner = Runner(console.err(), paths.state / "logs", "demo")
        loop = Loop(cluster, paths, member(cluster, paths), known_good)
        try:
            runner.run(loop.steps(arguments.to or ""))
            pages = [links.forge(cluster, paths), Link("swagger", f"{loop.address()}/")]
            pages += [page for page in [links.argocd(cluster, paths)] if page]
            document = report(runner, loop, pages)
        except ForgeError as error:
            raise Failure(str(error), "scripts/status tells whether the forge is up") from None
        finally:
            loop.member.close()
    if target:
        target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    _show(runner, pages)
    return 0


def _writable(name: str | None) -> Path | None:
    """Refuse a report that could not be written before an hour's work is done for it."""
    if name is None:
        return None
    path = Path(name).absolute()
    if path.is_dir() or not path.parent.is_dir():
        raise BadInput(f"--report {name}: is a directory or lies in none", "name a file in an existing directory")
    return path


def _show(runner: Runner, pages: list[Link]) -> None:
    shown = console.out()
    shown.print(runner.table(), soft_wrap=False)
    shown.print()
    table = Table("open", "", "log in as", box=None, pad_edge=False, header_style="bold")
    for page in pages:
        table.add_row(page.name, page.url, escape(page.login or "nobody"))
    shown.print(table, soft_wrap=False)
    shown.print(
        f"\nfrom another machine:\n{links.tunnel([page.url for page in pages], socket.gethostname())}", markup=False
    )


def main() -> int:
    """The verb."""
    parser = app.parser(
        "demo",
        "Set up the platform and run the loop once: a pull request that changes a parameter, training in a runner\n"
        "pod, report, merge, release, deployment through Argo CD, and a prediction by the deployed model.",
    )
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    parser.add_argument("--to", metavar="ENVIRONMENT", help="then promote the release as far as there, such as prod")
    parser.add_argument("--report", metavar="FILE", help="write what happened as JSON")
    parser.add_argument("--no-up", dest="up", action="store_false", help="use the running platform as it is")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
