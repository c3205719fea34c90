"""The pull request that pins an environment to a release: to a new one by promotion, to an earlier one by rollback."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import forge
from ci import failure as job
from ci import git
from ci.pins import Pins
from ci.tree import CommitTree
from cli.failure import BadInput, Failure
from forge import Forge, PullRequest
from mlplatform import pin
from mlplatform.pin import Pin, PinError
from settings import Cluster, Paths

MAIN = "main"


@dataclass(frozen=True)
class Change:
    """What a pull request does: `release` takes the place of `current` in an environment. `branches`: what the branches
    of all such changes begin with, of which one at most is open. `text`: the pull request's."""

    app: str
    environment: str
    release: Pin
    current: Pin | None
    branches: str
    title: str
    text: str = ""

    @property
    def branch(self) -> str:
        """The branch of this one."""
        return f"{self.branches}{self.release.revision[:10]}"


def table(release: Pin, current: Pin | None, environment: str) -> str:
    """What changes, for a pull request."""
    rows = [("commit of main", current.revision[:10] if current else "-", release.revision[:10])]
    for name, digest in sorted(release.images.items()):
        rows.append((f"`{name}`", current.images.get(name, "-")[:19] if current else "-", digest[:19]))
    lines = [f"| {what} | {old} | {new} |" for what, old, new in rows]
    return "\n".join((f"| | {environment} now | with this |", "|---|---|---|", *lines))


@dataclass(frozen=True)
class Desk:
    """Where pull requests are opened, as the account that proposes for the platform. `pins`: of the forge's main."""

    client: Forge
    remote: git.Remote
    pins: Pins

    def open(self, change: Change) -> PullRequest:
        """Have one open pull request for the change, and none for another of its kind."""
        path, account = pin.path(change.app, change.environment), self.client.account()
        own = [one for one in self.client.pull_requests(MAIN) if one.author == account]
        waiting = [one for one in own if one.head_branch.startswith(change.branches)]
        found = next(
            (one for one in waiting if self._proposes(self.client.read_file(path, one.head_sha), change)), None
        )
        if found is None:
            repository, files = self.pins.repository, {path: change.release.document()}
            commit = repository.write_commit(self.pins.main.commit, f"{change.title}\n", files, author=git.PROPOSER)
            repository.push(self.remote, commit, change.branch, replace=True)
            found = self.client.create_pull_request(change.title, change.text, change.branch, MAIN)
        for other in waiting:
            if other.number != found.number:
                self.client.comment(other.number, f"Superseded by #{found.number}.")
                self.client.close_pull_request(other.number)
                self.client.delete_branch(other.head_branch)
        return found

    def _proposes(self, content: bytes | None, change: Change) -> bool:
        """Whether a pin that was proposed earlier comes to the same as a change, if at another commit of main."""
        try:
            proposed = pin.parse(content or b"")
        except PinError:
            return False
        place = change.app, change.environment
        known = self.pins.repository.commit(proposed.revision) is not None
        return known and self.pins.content(*place, proposed) == self.pins.content(*place, change.release)


@contextmanager
def desk(client: Forge, remote: git.Remote) -> Iterator[Desk]:
    """A desk with the forge's main as it is now. Raises ci's Failure."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-git-") as folder:
        repository = git.Repository(Path(folder))
        repository.git("init", "--quiet", "--bare", f"--initial-branch={MAIN}", ".")
        repository.fetch(remote, f"+refs/heads/{MAIN}:refs/heads/{MAIN}")
        main = repository.commit(MAIN)
        assert main, "the fetch succeeded"
        yield Desk(client, remote, Pins(repository, CommitTree(repository, main)))


@contextmanager
def desk_of(cluster: Cluster, paths: Paths, option: str, environment: str) -> Iterator[Desk]:
    """The desk of a cluster which hosts the environment. Raises BadInput, Failure and SettingsError."""
    if environment not in cluster.stages:
        known = ", ".join(cluster.stages)
        raise BadInput(f"{option} {environment}: {cluster.name} has no such environment", f"choose of {known}")
    token = paths.secret("forge-proposer-token")
    remote = git.Remote(cluster.forge.clone_url, token)
    client = forge.connect(cluster.forge.kind, cluster.forge.url, cluster.forge.repository, forge.Token(token))
    try:
        with closing(client), desk(client, remote) as found:
            yield found
    except (job.Failure, forge.ForgeError) as error:
        raise Failure(str(error), "scripts/doctor tells what is wrong here") from None
