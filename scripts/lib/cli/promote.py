"""Open the pull request that promotes an app: an environment gets the release that the one before it runs."""

import argparse
from dataclasses import replace

from ci import deployments, manifests
from ci.pins import Pins
from cli import app, applications, console, pinning
from cli.applications import Application
from cli.failure import BadInput, Failure
from cli.kube import Kubectl
from cli.pinning import Change
from forge import PullRequest
from mlplatform.pin import Pin
from mlplatform.releases import overlay_folder
from settings import Cluster, Paths

MOST_COMMITS = 50


def promotion(pins: Pins, name: str, target: str) -> tuple[str, Change]:
    """What is to be promoted to an environment, and from which. Raises BadInput where there is nothing to."""
    source = deployments.environment_before(pins.main, target)
    if source is None:
        raise BadInput(f"--to {target}: it follows main, so nothing is promoted there", "name a later environment")
    overlay = f"{overlay_folder(name, target)}/{manifests.FILE}"
    if pins.main.read(overlay) is None:
        raise BadInput(
            f"{overlay}: main has no such file, so there is nothing to deploy {name} to {target} by",
            "add it by a pull request: `resources: [../../base]`, and what differs in this environment",
        )
    release = pins.runs(name, source)
    if release is None:
        raise BadInput(f"{name} does not run in {source}, so there is nothing to promote", f"deploy it to {source}")
    current = pins.of_main(name, target)
    if current and pins.content(name, target, current) == pins.content(name, target, release):
        raise BadInput(f"{target} is at this release already: {release.revision[:10]}", f"change {source} first")
    change = Change(
        app=name,
        environment=target,
        release=release,
        current=current,
        branches=f"promote/{name}-{target}-",
        title=f"Promote {name} {release.revision[:10]} from {source} to {target}",
    )
    return source, replace(change, text=_text(pins, source, change))


def _text(pins: Pins, source: str, change: Change) -> str:
    target = change.environment
    parts = [
        f"Merging this has **{target}** run what **{source}** runs, manifests and images. Nothing is built again.",
        pinning.table(change.release, change.current, target),
    ]
    if commits := _commits(pins, source, change):
        # As text: what a commit is called is anybody's choice.
        parts.append("\n".join(("### What main got in between\n", *(f"    {line}" for line in commits))))
    back = (
        f"`scripts/rollback {change.app} --environment {target}` opens the pull request that takes {target} back."
        if change.current
        else f"Before this, {target} runs nothing: docs/runbooks/remove-an-app.md says how an app leaves it again."
    )
    return "\n\n".join((*parts, f"### Roll back\n\n{back}")) + "\n"


def _commits(pins: Pins, source: str, change: Change) -> list[str]:
    """What main got between the two releases that concerns the app, the newest first."""
    if change.current is None:
        return []
    options = ("--first-parent", f"--max-count={MOST_COMMITS}", "--format=%h %s")
    between = f"{change.current.revision}..{change.release.revision}"
    folders = f"apps/{change.app}/base", overlay_folder(change.app, source)
    return pins.repository.git("log", *options, between, "--", *folders).decode().splitlines()


def check(found: Application | None, name: str, release: Pin) -> None:
    """Whether the Application `name` runs the release, and well. Raises Failure."""
    if found is None:
        raise Failure(f"there is no Application {name}", "scripts/status shows what is deployed")
    if not found.is_settled:
        state = f"{found.sync}, {found.health} {found.message}".strip()
        raise Failure(f"{name} is {state}", "only what is Synced and Healthy is promoted: wait, or mend it there")
    running = " ".join(found.images)
    if missing := [f"{image}@{digest}" for image, digest in release.images.items() if digest not in running]:
        raise Failure(f"{name} does not run {', '.join(missing)} yet", "wait until Argo CD has deployed it")


def propose(cluster: Cluster, paths: Paths, name: str, target: str) -> tuple[PullRequest, Pin]:
    """Open the pull request, and say what it promotes. Raises BadInput, Failure and SettingsError."""
    with pinning.desk_of(cluster, paths, "--to", target) as desk:
        source, change = promotion(desk.pins, name, target)
        running = f"{name}-{source}"
        check(applications.named(Kubectl(paths), running), running, change.release)
        return desk.open(change), change.release


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    pull, _ = propose(cluster, paths, arguments.app, arguments.to)
    console.out().print(f"#{pull.number} {pull.title}: {pull.url}", markup=False)
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "promote",
        "Open the pull request by which an environment gets the release of the one before it.\n"
        "It is merged as every other: once the gate has passed it and an owner has approved.",
    )
    parser.add_argument("app", metavar="APP", help="a folder of apps/")
    parser.add_argument("--to", required=True, metavar="ENVIRONMENT", help="which environment gets it, such as staging")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
