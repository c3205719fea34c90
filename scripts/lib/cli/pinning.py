"""The pull request that pins an environment to a release: to a new one by promotion, to an earlier one by rollback."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import forge
from ci import failure as job
from ci import git, manifests
from ci.deployments import OVERLAY
from ci.document import DocumentError
from ci.pins import Pins
from ci.tree import CommitTree
from cli import console
from cli.failure import BadInput, Failure
from forge import Forge, PullRequest
from mlplatform import pin
from mlplatform.pin import Pin, PinError
from mlplatform.releases import overlay_folder
from settings import Cluster, Paths

MAIN = "main"
PROMOTE, ROLLBACK = "promote", "rollback"
_DIGEST_SHOWN = len("sha256:") + 12


@dataclass(frozen=True)
class Change:
    """What a pull request does: `release` takes the place of `current` in an environment. `kind`: PROMOTE or ROLLBACK.
    `text`: the pull request's."""

    kind: str
    app: str
    environment: str
    release: Pin
    current: Pin | None
    title: str
    text: str = ""

    @property
    def branch(self) -> str:
        """The branch of this one."""
        return f"{self._branches(self.kind)}{self.release.revision[:10]}"

    def is_superseded(self, branch: str) -> bool:
        """Whether what another branch proposes makes no sense beside this one."""
        kinds = (PROMOTE,) if self.kind == PROMOTE else (PROMOTE, ROLLBACK)
        return any(branch.startswith(self._branches(kind)) for kind in kinds)

    def is_held_up(self, branch: str) -> bool:
        """Whether what another branch proposes has to be settled before this one."""
        return self.kind == PROMOTE and branch.startswith(self._branches(ROLLBACK))

    def _branches(self, kind: str) -> str:
        return f"{kind}/{self.app}/{self.environment}/"


@dataclass(frozen=True)
class Proposal:
    """A change's pull request. `is_new`: it was opened just now."""

    pull: PullRequest
    is_new: bool

    def tell(self) -> None:
        """Say on stdout where it is, and what comes next."""
        shown = console.out()
        state = "opened" if self.is_new else "already open:"
        shown.print(f"{state} #{self.pull.number} {self.pull.title}: {self.pull.url}", markup=False)
        shown.print("Once the gate has passed it and it is approved (prod: by an owner), the bot merges it.")


def rows(release: Pin, current: Pin | None) -> Iterator[tuple[str, str, str]]:
    """What changes: what it is, how it is now, how it would be; digests in short."""
    yield "commit of main", current.revision[:10] if current else "-", release.revision[:10]
    for name, digest in sorted(release.images.items()):
        before = current.images.get(name, "-") if current else "-"
        yield f"`{name}`", before[:_DIGEST_SHOWN], digest[:_DIGEST_SHOWN]


def table(release: Pin, current: Pin | None, environment: str) -> str:
    """What changes, for a pull request."""
    lines = [f"| {what} | {old} | {new} |" for what, old, new in rows(release, current)]
    return "\n".join((f"| | {environment} now | with this |", "|---|---|---|", *lines))


def check_app(pins: Pins, name: str) -> None:
    """Raises BadInput where main has no such app."""
    apps = sorted({found[1] for path in pins.main.files("apps") if (found := OVERLAY.fullmatch(path))})
    if name not in apps:
        raise BadInput(f"{name}: main has no apps/{name}/overlays/", f"choose of {', '.join(apps)}")


def commits(pins: Pins, change: Change, environments: Sequence[str], most: int) -> list[str]:
    """What main got between two releases that concerns an app, the newest first, as `abc1234 subject`.

    Args:
        environments: whose overlays concern it too.
        most: how many at most.
    """
    if change.current is None:
        return []
    release = CommitTree(pins.repository, change.release.revision)
    # Not the pins beside them: promotions are none of what is promoted.
    own = (
        path
        for environment in environments
        for path in release.files(overlay_folder(change.app, environment))
        if path != pin.path(change.app, environment)
    )
    between = f"{change.current.revision}..{change.release.revision}"
    options = ("--first-parent", f"--max-count={most}", "--format=%h %s")
    listed = pins.repository.git("log", *options, between, "--", *manifests.shared(release, change.app), *own)
    return listed.decode(errors="replace").splitlines()


@dataclass(frozen=True)
class Proposals:
    """Opens pull requests as the account that proposes for the platform. `pins`: of the forge's main."""

    client: Forge
    remote: git.Remote
    pins: Pins

    def open(self, change: Change) -> Proposal:
        """Have one open pull request for the change, and none that it supersedes. Raises BadInput."""
        account = self.client.account()
        own = [one for one in self.client.pull_requests(MAIN) if one.author == account]
        if held_up := next((one for one in own if change.is_held_up(one.head_branch)), None):
            raise BadInput(f"{held_up.url} takes {change.environment} back", "merge or close it first")
        waiting = [one for one in own if change.is_superseded(one.head_branch)]
        found = next((one for one in waiting if self._proposes(one, change)), None)
        proposal = Proposal(found, is_new=False) if found else Proposal(self._create(change), is_new=True)
        for other in waiting:
            if other.number != proposal.pull.number:
                self.client.comment(other.number, f"Superseded by #{proposal.pull.number}.")
                self.client.close_pull_request(other.number)
                self.client.delete_branch(other.head_branch)
        return proposal

    def _create(self, change: Change) -> PullRequest:
        repository, path = self.pins.repository, pin.path(change.app, change.environment)
        files = {path: change.release.document()}
        commit = repository.write_commit(self.pins.main.commit, f"{change.title}\n", files, author=git.PROPOSER)
        repository.push(self.remote, commit, change.branch, replace=True)
        return self.client.create_pull_request(change.title, change.text, change.branch, MAIN)

    def _proposes(self, pull: PullRequest, change: Change) -> bool:
        """Whether an open pull request comes to the same as a change, if at another commit of main."""
        place = change.app, change.environment
        try:
            proposed = pin.parse(self.client.read_file(pin.path(*place), pull.head_sha) or b"")
            if self.pins.repository.commit(proposed.revision) is None:
                return False
            return self.pins.content(*place, proposed) == self.pins.content(*place, change.release)
        except (PinError, DocumentError):
            return False


@contextmanager
def proposals(client: Forge, remote: git.Remote) -> Iterator[Proposals]:
    """Proposals to the forge's main as it is now. Raises ci's Failure."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-git-") as folder:
        repository = git.Repository(Path(folder))
        repository.git("init", "--quiet", "--bare", f"--initial-branch={MAIN}", ".")
        repository.fetch(remote, f"+refs/heads/{MAIN}:refs/heads/{MAIN}")
        main = repository.commit(MAIN)
        assert main, "the fetch succeeded"
        yield Proposals(client, remote, Pins(repository, CommitTree(repository, main)))


@contextmanager
def proposals_of(cluster: Cluster, paths: Paths, option: str, environment: str) -> Iterator[Proposals]:
    """Proposals to a cluster which hosts the environment. Raises BadInput, Failure and SettingsError."""
    if environment not in cluster.stages:
        known = ", ".join(cluster.stages)
        raise BadInput(f"{option} {environment}: {cluster.name} has no such environment", f"choose of {known}")
    token = paths.secret("forge-proposer-token")
    remote = git.Remote(cluster.forge.clone_url, token)
    client = forge.connect(cluster.forge.kind, cluster.forge.url, cluster.forge.repository, forge.Token(token))
    try:
        with closing(client), proposals(client, remote) as found:
            yield found
    except job.Unacceptable as error:
        raise BadInput(f"main: {error}", "mend it by a pull request") from None
    except (job.Failure, forge.ForgeError) as error:
        raise Failure(str(error), "scripts/doctor tells what is wrong here") from None
