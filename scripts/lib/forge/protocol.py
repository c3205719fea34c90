"""What the project asks of a forge."""

from typing import Protocol

from forge.models import Branch, Comment, Job, PullRequest, Repository, Status, StatusState, WorkflowRun


class Forge(Protocol):
    """One repository on one forge. Every method raises `forge.ForgeError` when the forge refuses."""

    repository: str
    """`owner/name`."""

    clone_url: str
    """Address for `git fetch` and `git push`, without credentials."""

    def describe(self) -> Repository:
        """The repository itself."""

    def pull_request(self, number: int) -> PullRequest:
        """One pull request."""

    def pull_requests(self, base: str | None = None) -> list[PullRequest]:
        """The open pull requests, newest first; only those into `base` where it is given."""

    def closed_pull_requests(self, base: str, most: int = 100) -> list[PullRequest]:
        """The pull requests into `base` among the `most` newest closed ones, merged or not, newest first."""

    def merged_by(self, sha: str) -> PullRequest | None:
        """The pull request whose merge made the commit `sha`, `None` where it came by another way."""

    def create_pull_request(self, title: str, body: str, head: str, base: str) -> PullRequest:
        """Open a pull request from branch `head` of this repository into `base`."""

    def close_pull_request(self, number: int) -> None:
        """Close without merging."""

    def merge_pull_request(self, number: int, head_sha: str, patience: float = 30.0) -> str:
        """Merge with a merge commit, if the head is still `head_sha`; return the merge commit's sha.

        A forge that is still computing whether the pull request merges is asked again for `patience` seconds.
        """

    def approve(self, number: int, head_sha: str) -> None:
        """Approve a pull request as it is at `head_sha`."""

    def changed_files(self, number: int) -> list[str]:
        """Paths that the pull request changes, old names of renamed files included."""

    def set_status(self, sha: str, context: str, state: StatusState, description: str, target_url: str = "") -> None:
        """Set the commit status `context` of `sha`. The description is cut to 140 characters."""

    def status(self, sha: str, context: str, account: str) -> Status | None:
        """The latest commit status of `context` that `account` set, `None` where it set none.

        Whoever may write to the repository may set any status, so those of others say nothing. Of a commit with very
        many statuses the newest 1000 are looked at.
        """

    def comments(self, number: int) -> list[Comment]:
        """Comments of a pull request, oldest first."""

    def comment(self, number: int, body: str) -> Comment:
        """Add a comment."""

    def upsert_comment(self, number: int, marker: str, body: str) -> Comment:
        """Write the one comment of this account that carries the hidden `marker`, which is put first in its body."""

    def workflow_runs(self, head_sha: str) -> list[WorkflowRun]:
        """The workflow runs of a commit, newest first."""

    def jobs(self, run: int) -> list[Job]:
        """The jobs of a workflow run."""

    def branch(self, name: str) -> Branch | None:
        """A branch, `None` where it does not exist."""

    def create_branch(self, name: str, source: str) -> Branch:
        """Create branch `name` at branch `source`."""

    def delete_branch(self, name: str) -> None:
        """Delete a branch; one that is gone already is fine."""

    def read_file(self, path: str, ref: str) -> bytes | None:
        """A file's content at a branch or commit, `None` where it does not exist."""

    def account(self) -> str:
        """The name of the account whose credentials are used."""

    def close(self) -> None:
        """Close the connections."""
