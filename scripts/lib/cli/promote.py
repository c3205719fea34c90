"""Open the pull request that promotes an app: an environment gets the release that the one before it runs."""

import argparse
import time
from dataclasses import replace

from ci import deployments, manifests
from ci.pins import Pins
from cli import app, applications, pinning
from cli.applications import Application
from cli.failure import BadInput, Failure
from cli.kube import Kubectl
from cli.pinning import PROMOTE, Change, Proposal
from mlplatform.pin import Pin
from mlplatform.releases import overlay_folder
from settings import Cluster, Paths

MOST_COMMITS = 50
# How long Argo CD may take to compare an Application with git.
COMPARE_SECONDS = 30.0


def promotion(pins: Pins, name: str, target: str) -> tuple[str, Change]:
    """What is to be promoted to an environment, and from which. Raises BadInput where there is nothing to."""
    source = deployments.environment_before(pins.main, target)
    if source is None:
        raise BadInput(f"--to {target}: it follows main, so nothing is promoted there", "name a later environment")
    pinning.check_app(pins, name)
    overlay = f"{overlay_folder(name, target)}/{manifests.FILE}"
    if pins.main.read(overlay) is None:
        raise BadInput(
            f"{overlay}: main has no such file, so there is nothing to deploy {name} to {target} by",
            "add it by a pull request: `resources: [../../base]`, and what differs in this environment",
        )
    runs = pins.runs(name, source)
    if runs is None:
        raise BadInput(f"{name} does not run in {source}, so there is nothing to promote", f"deploy it to {source}")
    release = pins.placed(name, target, runs)
    if release is None:
        raise BadInput(
            f"main changed {overlay_folder(name, target)} after what {source} runs, and apps/{name}/base too",
            f"promote {name} to {source} first: then both go on together",
        )
    current = pins.of_main(name, target)
    if current and pins.content(name, target, current) == pins.content(name, target, release):
        raise BadInput(f"{target} is at this release already: {release.revision[:10]}", f"change {source} first")
    change = Change(
        kind=PROMOTE,
        app=name,
        environment=target,
        release=release,
        current=current,
        title=f"Promote {name} {release.revision[:10]} from {source} to {target}",
    )
    return source, replace(change, text=_text(pins, source, change))


def _text(pins: Pins, source: str, change: Change) -> str:
    target = change.environment
    parts = [
        f"Merging this has **{target}** run what **{source}** runs, manifests and images. Nothing is built again.",
        pinning.table(change.release, change.current, target),
    ]
    if commits := pinning.commits(pins, change, (source, target), MOST_COMMITS):
        # As text: what a commit is called is anybody's choice.
        parts.append("\n".join(("### What main got in between\n", *(f"    {line}" for line in commits))))
    back = (
        f"`scripts/rollback {change.app} --environment {target}` opens the pull request that takes {target} back."
        if change.current
        else f"Before this, {target} runs nothing: docs/runbooks/remove-an-app.md says how an app leaves it again."
    )
    return "\n\n".join((*parts, f"### Roll back\n\n{back}")) + "\n"


def check(pins: Pins, found: Application | None, name: str, source: str) -> None:
    """Whether an environment's Application runs what main has it run, and well. Raises Failure."""
    application = f"{name}-{source}"
    if found is None:
        raise Failure(f"there is no Application {application}", "scripts/status shows what is deployed")
    if not found.is_settled or found.refreshing:
        state = f"{found.sync}, {found.health} {found.message}".strip()
        what = f"is compared with git, before {state}" if found.refreshing else f"is {state}"
        raise Failure(f"{application} {what}", "only what is Synced and Healthy is promoted: wait, or mend it there")
    wanted = pins.runs(name, source)
    assert wanted, "there is something to promote"
    running = " ".join(found.images)
    missing = [f"{image}@{digest}" for image, digest in wanted.images.items() if digest not in running]
    if not missing and not _is_at(pins, name, source, found.revision, wanted):
        missing = [f"main's {wanted.revision[:10]}"]
    if missing:
        raise Failure(f"{application} does not run {', '.join(missing)} yet", "wait until Argo CD has deployed it")


def _is_at(pins: Pins, name: str, environment: str, revision: str, wanted: Pin) -> bool:
    """Whether what Argo CD deployed of a commit is what a release comes to."""
    if pins.repository.commit(revision) is None:
        return False
    there = Pin(revision, wanted.images)
    return pins.content(name, environment, there) == pins.content(name, environment, wanted)


def _compared(kubectl: Kubectl, name: str) -> Application | None:
    """An Application, once Argo CD has compared it with git. Raises Failure."""
    last = time.monotonic() + COMPARE_SECONDS
    while (found := applications.named(kubectl, name)) and found.refreshing and time.monotonic() < last:
        time.sleep(0.5)
    return found


def propose(cluster: Cluster, paths: Paths, name: str, target: str) -> tuple[Proposal, Pin]:
    """Open the pull request, and say what it promotes. Raises BadInput, Failure and SettingsError."""
    with pinning.proposals_of(cluster, paths, "--to", target) as proposals:
        source, change = promotion(proposals.pins, name, target)
        check(proposals.pins, _compared(Kubectl(paths), f"{name}-{source}"), name, source)
        return proposals.open(change), change.release


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    propose(cluster, paths, arguments.app, arguments.to)[0].tell()
    return 0


def main() -> int:
    """The command."""
    parser = app.parser(
        "promote",
        "Open the pull request by which an environment gets the release of the one before it.\n"
        "It is merged as every other: once the gate has passed it and somebody, for prod an owner, has approved.",
    )
    parser.add_argument("app", metavar="APP", help="a folder of apps/")
    parser.add_argument("--to", required=True, metavar="ENVIRONMENT", help="which environment gets it, such as staging")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
