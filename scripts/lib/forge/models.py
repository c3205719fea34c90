"""What the forges answer, reduced to the fields this project uses."""

from dataclasses import dataclass
from typing import Literal

StatusState = Literal["pending", "success", "failure", "error"]


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository; `name` is `owner/name`."""

    name: str
    default_branch: str
    private: bool
    url: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and the commit it points at."""

    name: str
    sha: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request. `head_repository` is empty when the head's repository was deleted."""

    number: int
    title: str
    body: str
    url: str
    author: str
    open: bool
    merged: bool
    head_branch: str
    head_sha: str
    head_repository: str
    base_branch: str
    merge_sha: str

    def is_from_fork(self, repository: str) -> bool:
        """Whether the head branch lies outside `repository` (`owner/name`)."""
        return self.head_repository.casefold() != repository.casefold()


@dataclass(frozen=True, slots=True)
class Status:
    """The latest commit status of one context by one account."""

    context: str
    state: str
    description: str
    target_url: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request."""

    id: int
    author: str
    body: str
    url: str


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A workflow run. `workflow` is the file's name; `conclusion` is empty until `status` is `completed`; `ref` is what
    it is about, where the forge says so."""

    id: int
    workflow: str
    event: str
    head_sha: str
    status: str
    conclusion: str
    url: str
    ref: str = ""

    def is_of(self, number: int) -> bool:
        """Whether this pull request started it, as far as the forge says.

        Another one with the same head may have another base, and Gitea records as a run of the head, too, what
        `pull_request_target` took from there. A push is `pull_request_sync` on Gitea.
        """
        pulls = self.event.startswith("pull_request") and self.event != "pull_request_target"
        return pulls and self.ref in ("", f"refs/pull/{number}/head")

    @property
    def completed(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.status == "completed"


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a workflow run."""

    id: int
    name: str
    status: str
    conclusion: str
    url: str
