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
    """The latest commit status of one context."""

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
    """A workflow run. `workflow` is the file's name; `conclusion` is empty until `status` is `completed`."""

    id: int
    workflow: str
    event: str
    head_sha: str
    status: str
    conclusion: str
    url: str

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
