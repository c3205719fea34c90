"""Open the pull request that takes an environment back to a release that it ran before."""

import argparse

from ci import deployments
from ci.pins import Pins
from cli import app, console, pinning
from cli.failure import BadInput
from cli.pinning import Change
from mlplatform.pin import Pin
from settings import Paths

SHORTEST = 7


def rollback(pins: Pins, name: str, environment: str, to: str | None) -> Change:
    """What takes an environment back: to the release before the current one, or to the commit that `to` begins.

    Raises BadInput where there is none.
    """
    if deployments.environment_before(pins.main, environment) is None:
        raise BadInput(
            f"--environment {environment}: it follows main, which alone says what runs there",
            "revert the merge that brought it, by a pull request: git revert -m 1 COMMIT",
        )
    current = pins.of_main(name, environment)
    if current is None:
        raise BadInput(f"{name} is not pinned in {environment}", f"scripts/promote {name} --to {environment}")
    release = _chosen([one for one in pins.earlier(name, environment) if one != current], name, environment, to)
    text = (
        f"Merging this has **{environment}** run again what it ran before, manifests and images together.\n\n"
        f"{pinning.table(release, current, environment)}\n\n"
        f"### Take it back\n\n`scripts/rollback {name} --environment {environment} --to {current.revision[:10]}`\n"
    )
    return Change(
        app=name,
        environment=environment,
        release=release,
        current=current,
        branches=f"rollback/{name}-{environment}-",
        title=f"Roll {name} back to {release.revision[:10]} in {environment}",
        text=text,
    )


def _chosen(earlier: list[Pin], name: str, environment: str, to: str | None) -> Pin:
    if not earlier:
        raise BadInput(f"{environment} has run no other release of {name}", "mend what runs there, and promote that")
    if to is None:
        return earlier[0]
    known = ", ".join(dict.fromkeys(one.revision[:10] for one in earlier[:10]))
    if len(to) < SHORTEST:
        raise BadInput(f"--to {to}: too short to tell one release", f"{environment} ran {known}")
    found = [one for one in earlier if one.revision.startswith(to.lower())]
    if not found:
        raise BadInput(f"--to {to}: {environment} never ran a release of that commit", f"it ran {known}")
    return found[0]


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    with pinning.desk_of(cluster, paths, "--environment", arguments.environment) as desk:
        pull = desk.open(rollback(desk.pins, arguments.app, arguments.environment, arguments.to))
    console.out().print(f"#{pull.number} {pull.title}: {pull.url}", markup=False)
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "rollback",
        "Open the pull request that takes an environment back to a release that it ran before.\n"
        "It is merged as every other: once the gate has passed it and an owner has approved.",
    )
    parser.add_argument("app", metavar="APP", help="a folder of apps/")
    parser.add_argument("--environment", required=True, metavar="ENVIRONMENT", help="which goes back, such as prod")
    parser.add_argument("--to", metavar="COMMIT", help="main's commit of that release (default: what ran before)")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
