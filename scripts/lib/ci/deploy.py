"""The pull request that deploys an image to a stage."""

from collections.abc import Callable
from dataclasses import dataclass

from ci import chart, git, overlay
from ci.evidence import MAIN
from ci.metrics import Metrics
from ci.tree import CommitTree
from forge import Forge, PullRequest


@dataclass(frozen=True, slots=True)
class Proposal:
    """An image to deploy, with the evidence for it."""

    app: str
    stage: str
    digest: str
    model_digest: str
    archive: str
    lock_commit: str
    metrics: Metrics | None
    run_url: str

    @property
    def branches(self) -> str:
        """What the branches of all deployments of this app to this stage begin with."""
        return f"deploy/{self.app}-{self.stage}-"

    @property
    def branch(self) -> str:
        """The branch of this deployment."""
        return f"{self.branches}{self.digest.removeprefix('sha256:')[:12]}"

    @property
    def title(self) -> str:
        """What merging does."""
        return f"Deploy {self.app} {self.digest.removeprefix('sha256:')[:12]} to {self.stage}"


# What the comment begins with that closes a pull request; a person who closes one does not write it.
SUPERSEDED = "Superseded"


def propose(
    forge: Forge, repository: git.Repository, remote: git.Remote, main: Callable[[], CommitTree], proposal: Proposal
) -> None:
    """Have one open pull request for this image, where the stage does not have it, and none for another.

    One that a person closed is not opened again. `main` is asked for main's files of that moment.
    """
    if _propose(forge, repository, remote, main(), proposal):
        # One for this image, of another run, may have been merged after main was looked at.
        _propose(forge, repository, remote, main(), proposal)


def _propose(
    forge: Forge, repository: git.Repository, remote: git.Remote, main: CommitTree, proposal: Proposal
) -> PullRequest | None:
    """What `propose` does, as main is. Returns what it opened, `None` where nothing was to be opened."""
    path = overlay.path(proposal.app, proposal.stage)
    account = forge.account()
    # The account that judges proposed, too, before there was one that proposes.
    own = [pull for pull in forge.pull_requests(MAIN) if pull.author in (account, git.BOT["name"])]
    waiting = [pull for pull in own if pull.head_branch.startswith(proposal.branches)]
    current = next((pull for pull in waiting if pull.head_branch == proposal.branch), None)
    opened = None
    if overlay.digest(main.read(path), proposal.app, path) == proposal.digest:
        print(f"{path} has this image already: nothing to propose")
        current, why = None, f"{SUPERSEDED}: {proposal.stage} has the image of main's model already."
    elif current is not None:
        print(f"#{current.number} proposes this image already: {current.url}")
        why = f"{SUPERSEDED} by #{current.number}, which deploys the image of main's model."
    elif (closed := _closed_by_a_person(forge, account, proposal)) is not None:
        print(f"#{closed.number}, which proposed this image, was closed: reopen it to deploy the image: {closed.url}")
        why = f"{SUPERSEDED} by #{closed.number}, which was closed."
    else:
        current = opened = _open(forge, repository, remote, main, proposal)
        why = f"{SUPERSEDED} by #{opened.number}, which deploys a newer image."
    for pull in waiting:
        if pull != current:
            forge.comment(pull.number, why)
            forge.close_pull_request(pull.number)
            forge.delete_branch(pull.head_branch)
            print(f"closed #{pull.number}, which it supersedes")
    return opened


def _closed_by_a_person(forge: Forge, account: str, proposal: Proposal) -> PullRequest | None:
    """The newest pull request for this image, if it was closed and neither merged nor superseded."""
    for pull in forge.closed_pull_requests(MAIN):
        # The forge forgets the name of a branch that was deleted, but not the title.
        if pull.author == account and pull.title == proposal.title:
            own = [entry.body for entry in forge.comments(pull.number) if entry.author == account]
            return None if pull.merged or any(body.startswith(SUPERSEDED) for body in own) else pull
    return None


def _open(
    forge: Forge, repository: git.Repository, remote: git.Remote, main: CommitTree, proposal: Proposal
) -> PullRequest:
    path = overlay.path(proposal.app, proposal.stage)
    files = {path: overlay.set_digest(main.read(path), proposal.app, proposal.digest, path)}
    commit = repository.write_commit(main.commit, f"{proposal.title}\n", files, author=git.PROPOSER)
    # An earlier proposal that was closed, or a run that ended before it opened one, left its branch. It is not deleted:
    # the forge closes the pull requests of a deleted branch some time later, this new one too.
    repository.push(remote, commit, proposal.branch, replace=True)
    opened = forge.create_pull_request(proposal.title, body(proposal), proposal.branch, MAIN)
    print(f"#{opened.number} {opened.title}: {opened.url}")
    return opened


def body(proposal: Proposal) -> str:
    """The pull request's text: what is deployed, on what evidence, and how to take it back."""
    facts = [
        ["image", chart.code(f"{proposal.app}@{proposal.digest}")],
        ["model (ONNX file)", chart.code(proposal.model_digest)],
        ["recorded by", f"{proposal.lock_commit} (`ml/dvc.lock`)"],
        ["Bento", chart.code(proposal.archive)],
    ]
    if proposal.run_url:
        facts.append(["release", f"[run]({proposal.run_url})"])
    parts = [
        f"Merging this deploys the reviewed model to **{proposal.stage}**; Argo CD syncs it.",
        chart.table(["", "what"], facts, right=2),
    ]
    if proposal.metrics:
        values = {name: value for name, value in proposal.metrics.values.items() if "." not in name}
        rows = [[chart.code(name), f"{value:.6g}"] for name, value in values.items()]
        parts.append(f"### Metrics\n\n{chart.table(['metric', 'value'], rows, right=1)}")
    parts.append(
        "### Roll back\n\nRevert the merge of this pull request in another one; the image before it comes back:\n\n"
        "```\ngit revert -m 1 <merge commit>\n```"
    )
    return "\n\n".join(parts) + "\n"
