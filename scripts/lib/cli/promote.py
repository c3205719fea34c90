"""Open the pull request that promotes an app: an environment gets the release that the one before it runs."""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import forge
from ci import deployments, git, manifests
from ci import failure as job
from ci.pins import Pins, images
from ci.tree import CommitTree
from cli import app, applications, console
from cli.applications import Application
from cli.failure import BadInput, Failure
from cli.kube import Kubectl
from forge import Forge, PullRequest
from mlplatform import pin
from mlplatform.pin import Pin
from mlplatform.releases import overlay_folder
from settings import Cluster, Paths

MAIN = "main"
MOST_COMMITS = 50


@dataclass(frozen=True)
class Promotion:
    """A release of an app on its way: `release` runs in `source`; `current` is what `target` runs, if anything."""

    app: str
    source: str
    target: str
    release: Pin
    current: Pin | None

    @property
    def branches(self) -> str:
        """What the branches of all promotions of this app to this environment begin with."""
        return f"promote/{self.app}-{self.target}-"

    @property
    def branch(self) -> str:
        """The branch of this one."""
        return f"{self.branches}{self.release.revision[:10]}"

    @property
    def title(self) -> str:
        """What merging does."""
        return f"Promote {self.app} {self.release.revision[:10]} from {self.source} to {self.target}"


@dataclass(frozen=True)
class History:
    """The forge's main, and what it has each environment run."""

    repository: git.Repository
    main: CommitTree

    @property
    def pins(self) -> Pins:
        """Main's pins."""
        return Pins(self.repository, self.main)

    def promotion(self, name: str, target: str) -> Promotion:
        """What is to be promoted to an environment. Raises BadInput where there is nothing to."""
        source = deployments.environment_before(self.main, target)
        if source is None:
            raise BadInput(f"--to {target}: it follows main, so nothing is promoted there", "name a later environment")
        overlay = f"{overlay_folder(name, target)}/{manifests.FILE}"
        if self.main.read(overlay) is None:
            raise BadInput(
                f"{overlay}: main has no such file, so there is nothing to deploy {name} to {target} by",
                "add it by a pull request: `resources: [../../base]`, and what differs in this environment",
            )
        release = self._release(name, source)
        current = self.pins.of_main(name, target)
        if current and self._content(name, target, current) == self._content(name, target, release):
            raise BadInput(f"{target} is at this release already: {release.revision[:10]}", f"change {source} first")
        return Promotion(name, source, target, release, current)

    def _release(self, name: str, source: str) -> Pin:
        """What an environment runs, as another is pinned to it. Raises BadInput."""
        if deployments.environment_before(self.main, source) is not None:
            found = self.pins.of_main(name, source)
        elif self.main.files(overlay_folder(name, source)):
            found = Pin(self.main.commit, images(self.main, name, source))
        else:
            found = None
        if found is None:
            raise BadInput(f"{name} does not run in {source}, so there is nothing to promote", f"deploy it to {source}")
        return found

    def _content(self, name: str, target: str, release: Pin) -> tuple[str, ...]:
        """What a release comes to in an environment, as git names it."""
        folders = f"apps/{name}/base", overlay_folder(name, target)
        listed = self.repository.git("ls-tree", "-r", "--full-tree", release.revision, "--", *folders).decode()
        lines = (line for line in listed.splitlines() if not line.endswith(f"\t{pin.path(name, target)}"))
        return (*lines, *(f"{image}@{digest}" for image, digest in sorted(release.images.items())))

    def is_same(self, promotion: Promotion, content: bytes | None) -> bool:
        """Whether a pin that was proposed earlier comes to the same, if at another commit of main."""
        try:
            proposed = pin.parse(content or b"")
        except pin.PinError:
            return False
        name, target = promotion.app, promotion.target
        known = self.repository.commit(proposed.revision) is not None
        return known and self._content(name, target, proposed) == self._content(name, target, promotion.release)

    def commits(self, promotion: Promotion) -> list[str]:
        """What main got between the two releases that concerns the app, the newest first."""
        if promotion.current is None:
            return []
        between = f"{promotion.current.revision}..{promotion.release.revision}"
        options = ("--first-parent", f"--max-count={MOST_COMMITS}", "--format=%h %s")
        folders = f"apps/{promotion.app}/base", overlay_folder(promotion.app, promotion.source)
        return self.repository.git("log", *options, between, "--", *folders).decode().splitlines()


def check(found: Application | None, promotion: Promotion) -> None:
    """Whether the environment before runs the release, and well. Raises Failure."""
    name = f"{promotion.app}-{promotion.source}"
    if found is None:
        raise Failure(f"there is no Application {name}", "scripts/status shows what is deployed")
    if not found.is_settled:
        state = f"{found.sync}, {found.health} {found.message}".strip()
        raise Failure(f"{name} is {state}", "only what is Synced and Healthy is promoted: wait, or mend it there")
    running = " ".join(found.images)
    if missing := [f"{image}@{digest}" for image, digest in promotion.release.images.items() if digest not in running]:
        raise Failure(f"{name} does not run {', '.join(missing)} yet", "wait until Argo CD has deployed it")


def body(promotion: Promotion, commits: list[str]) -> str:
    """The pull request's text."""
    current, release = promotion.current, promotion.release
    rows = [
        ("commit of main", current.revision[:10] if current else "-", release.revision[:10]),
        *(
            (f"`{name}`", current.images.get(name, "-")[:19] if current else "-", digest[:19])
            for name, digest in sorted(release.images.items())
        ),
    ]
    table = "\n".join(f"| {what} | {old} | {new} |" for what, old, new in rows)
    source, target = promotion.source, promotion.target
    parts = [
        f"Merging this has **{target}** run what **{source}** runs, manifests and images. Nothing is built again.",
        f"| | {target} now | with this |\n|---|---|---|\n{table}",
    ]
    if commits:
        # As text: what a commit is called is anybody's choice.
        listed = "\n".join(f"    {line}" for line in commits)
        parts.append(f"### What main got in between\n\n{listed}")
    back = (
        f"Revert the merge of this pull request in another one: {target} then runs again what it runs now."
        if current
        else f"Before this, {target} runs nothing: docs/runbooks/remove-an-app.md says how an app leaves it again."
    )
    parts.append(f"### Roll back\n\n{back}")
    return "\n\n".join(parts) + "\n"


def propose(client: Forge, history: History, remote: git.Remote, promotion: Promotion) -> PullRequest:
    """Have one open pull request for the promotion. Raises ForgeError and ci's Failure."""
    path, account = pin.path(promotion.app, promotion.target), client.account()
    own = [one for one in client.pull_requests(MAIN) if one.author == account]
    waiting = [one for one in own if one.head_branch.startswith(promotion.branches)]
    found = next((one for one in waiting if history.is_same(promotion, client.read_file(path, one.head_sha))), None)
    if found is None:
        files = {path: promotion.release.document()}
        commit = history.repository.write_commit(
            history.main.commit, f"{promotion.title}\n", files, author=git.PROPOSER
        )
        history.repository.push(remote, commit, promotion.branch, replace=True)
        text = body(promotion, history.commits(promotion))
        found = client.create_pull_request(promotion.title, text, promotion.branch, MAIN)
    for other in waiting:
        if other.number != found.number:
            client.comment(other.number, f"Superseded by #{found.number}, which promotes a newer release.")
            client.close_pull_request(other.number)
            client.delete_branch(other.head_branch)
    return found


@contextmanager
def history(remote: git.Remote) -> Iterator[History]:
    """The forge's main in a repository for one use. Raises ci's Failure."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-git-") as folder:
        repository = git.Repository(Path(folder))
        repository.git("init", "--quiet", "--bare", f"--initial-branch={MAIN}", ".")
        repository.fetch(remote, f"+refs/heads/{MAIN}:refs/heads/{MAIN}")
        main = repository.commit(MAIN)
        assert main
        yield History(repository, CommitTree(repository, main))


def promote(cluster: Cluster, paths: Paths, name: str, target: str) -> PullRequest:
    """Open the pull request, as the account that proposes for the platform. Raises BadInput, Failure, SettingsError."""
    if target not in cluster.stages:
        known = ", ".join(cluster.stages)
        raise BadInput(f"--to {target}: {cluster.name} has no such environment", f"choose of {known}")
    token = paths.secret("forge-proposer-token")
    remote = git.Remote(cluster.forge.clone_url, token)
    client = forge.connect(cluster.forge.kind, cluster.forge.url, cluster.forge.repository, forge.Token(token))
    try:
        with closing(client), history(remote) as past:
            promotion = past.promotion(name, target)
            check(applications.named(Kubectl(paths), f"{name}-{promotion.source}"), promotion)
            return propose(client, past, remote, promotion)
    except (job.Failure, job.Unacceptable, forge.ForgeError) as error:
        raise Failure(str(error), "scripts/doctor tells what is wrong here") from None


def _act(arguments: argparse.Namespace) -> int:
    cluster = app.cluster(arguments.cluster)
    pull = promote(cluster, Paths.from_environment(), arguments.app, arguments.to)
    console.out().print(f"#{pull.number} {pull.title}: {pull.url}", markup=False)
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "promote",
        "Open the pull request by which an environment gets the release of the one before it.\n"
        "It is merged as every other: once the gate has passed it and somebody has approved, for prod an owner.",
    )
    parser.add_argument("app", metavar="APP", help="a folder of apps/")
    parser.add_argument("--to", required=True, metavar="ENVIRONMENT", help="which environment gets it, such as staging")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    raise SystemExit(main())
