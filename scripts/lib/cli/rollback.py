"""Open the pull request that takes an environment back to a release that it ran before."""

import argparse

from rich.table import Table

from ci import deployments
from ci.pins import Pins
from cli import app, console, pinning
from cli.failure import BadInput
from cli.pinning import ROLLBACK, Change
from mlplatform.pin import Pin
from settings import Paths

SHORTEST = 7


def rollback(pins: Pins, name: str, environment: str, to: str | None) -> Change:
    """What takes an environment back: to what it ran before it first got the current release, or to the release at the
    commit that `to` begins.

    Raises BadInput where there is none.
    """
    current = pinned(pins, name, environment)
    release = _before(pins, name, environment) if to is None else _named(pins, name, environment, to)
    if release == current:
        raise BadInput(f"--to {to}: {environment} runs this release now", "scripts/rollback --list shows the others")
    text = (
        f"Merging this has **{environment}** run again what it ran before, manifests and images together.\n\n"
        f"{pinning.table(release, current, environment)}\n\n"
        f"### Take it back\n\n`scripts/rollback {name} --environment {environment} --to {current.revision[:10]}`\n"
    )
    return Change(
        kind=ROLLBACK,
        app=name,
        environment=environment,
        release=release,
        current=current,
        title=f"Roll {name} back to {release.revision[:10]} in {environment}",
        text=text,
    )


def pinned(pins: Pins, name: str, environment: str) -> Pin:
    """What an environment is pinned to. Raises BadInput where it is not."""
    if deployments.environment_before(pins.main, environment) is None:
        raise BadInput(
            f"--environment {environment}: it follows main, which alone says what runs there",
            "revert the merge that brought it, by a pull request: git revert -m 1 COMMIT",
        )
    pinning.check_app(pins, name)
    current = pins.of_main(name, environment)
    if current is None:
        raise BadInput(f"{name} is not pinned in {environment}", f"scripts/promote {name} --to {environment}")
    return current


def _before(pins: Pins, name: str, environment: str) -> Pin:
    earlier = pins.earlier(name, environment)
    if not earlier:
        raise BadInput(
            f"{environment} ran no other release of {name} before this one",
            "scripts/rollback --list shows those since, for --to; or mend what runs there, and promote that",
        )
    return earlier[0]


def _named(pins: Pins, name: str, environment: str, to: str) -> Pin:
    fix = f"scripts/rollback {name} --environment {environment} --list shows what it ran"
    if len(to) < SHORTEST:
        raise BadInput(f"--to {to}: too short to tell one release", fix)
    found = [one for one in pins.all_of(name, environment) if one.revision.startswith(to.lower())]
    if not found:
        raise BadInput(f"--to {to}: {environment} never ran a release of that commit", fix)
    return found[0]


def listed(pins: Pins, name: str, environment: str) -> Table:
    """What an environment ran, the newest first. Raises BadInput."""
    current = pinned(pins, name, environment)
    table = Table("release", "images", "", box=None, pad_edge=False, header_style="bold")
    for one in pins.all_of(name, environment):
        images = ", ".join(f"{image}@{digest[:19]}" for image, digest in sorted(one.images.items()))
        table.add_row(one.revision[:10], images, "runs now" if one == current else "")
    return table


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    name, environment = arguments.app, arguments.environment
    with pinning.proposals_of(cluster, paths, "--environment", environment) as proposals:
        if arguments.list:
            console.out().print(listed(proposals.pins, name, environment), soft_wrap=False)
            return 0
        proposal = proposals.open(rollback(proposals.pins, name, environment, arguments.to))
    proposal.tell()
    return 0


def main() -> int:
    """The command."""
    parser = app.parser(
        "rollback",
        "Open the pull request that takes an environment back to a release that it ran before.\n"
        "It is merged as every other: once the gate has passed it and somebody, for prod an owner, has approved.",
    )
    parser.add_argument("app", metavar="APP", help="a folder of apps/")
    parser.add_argument("--environment", required=True, metavar="ENVIRONMENT", help="which goes back, such as prod")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--to", metavar="RELEASE", help="its commit of main, from 7 digits on (default: what ran before the current)"
    )
    which.add_argument("--list", action="store_true", help="show what the environment ran, and open nothing")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
