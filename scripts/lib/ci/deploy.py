"""The pull request that deploys an image to a stage."""

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


def propose(
    forge: Forge, repository: git.Repository, remote: git.Remote, main: CommitTree, proposal: Proposal
) -> PullRequest | None:
    """Open the pull request and close those it supersedes; `None` where the stage has the image or a request for it."""
    path = overlay.path(proposal.app, proposal.stage)
    text = main.read(path)
    if overlay.digest(text, proposal.app, path) == proposal.digest:
        print(f"{path} has this image already: nothing to propose")
        return None
    account = forge.account()
    own = [pull for pull in forge.pull_requests(MAIN) if pull.author == account]
    waiting = [pull for pull in own if pull.head_branch.startswith(proposal.branches)]
    for pull in waiting:
        if pull.head_branch == proposal.branch:
            print(f"#{pull.number} proposes this image already: {pull.url}")
            return None
    files = {path: overlay.set_digest(text, proposal.app, proposal.digest, path)}
    commit = repository.write_commit(main.commit, f"{proposal.title}\n", files)
    # What is left of an earlier proposal that was closed.
    forge.delete_branch(proposal.branch)
    repository.push(remote, commit, proposal.branch)
    opened = forge.create_pull_request(proposal.title, body(proposal), proposal.branch, MAIN)
    print(f"#{opened.number} {opened.title}: {opened.url}")
    for pull in waiting:
        forge.comment(pull.number, f"Superseded by #{opened.number}, which deploys a newer image.")
        forge.close_pull_request(pull.number)
        forge.delete_branch(pull.head_branch)
        print(f"closed #{pull.number}, which it supersedes")
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
