"""One small client for the forges this project runs on: pull requests, statuses, comments, workflow runs.

    from forge import connect, Token
    forge = connect("gitea", "http://forge.example:3000", "ml/platform", Token("..."))
    forge.set_status(sha, "quality-gate", "success", "accuracy held")

Commits are not made here: a `git push` does that the same way on every forge.
"""

from forge.http import Credentials, ForgeError, Password, Token
from forge.models import Branch, Comment, Job, PullRequest, Repository, Status, StatusState, WorkflowRun
from forge.protocol import Forge
from forge.registry import KINDS, connect

__all__ = [
    "KINDS",
    "Branch",
    "Comment",
    "Credentials",
    "Forge",
    "ForgeError",
    "Job",
    "Password",
    "PullRequest",
    "Repository",
    "Status",
    "StatusState",
    "Token",
    "WorkflowRun",
    "connect",
]
