"""The people of a cluster at its forge: who proposes in the demo, who approves, and their accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import forge
from cli import git
from forge import Forge
from settings import ROOT, Cluster, Paths, People

ADMINISTRATOR = "platform-admin"
MERGE = "/merge"
"""The comment by which a person asks for a merge that nobody else has to approve."""


@dataclass(frozen=True)
class Cast:
    """Who plays which part. Without an approver the proposer asks for the merge."""

    proposer: str
    approvers: tuple[str, ...]

    @classmethod
    def of(cls, people: People) -> "Cast":
        """A member proposes where there is one; as many others approve as must, owners first."""
        proposer = (people.members or people.owners[::-1])[0]
        others = [name for name in people.all if name != proposer]
        return cls(proposer, tuple(others[: people.approvals]))


def login(paths: Paths, name: str) -> git.Login:
    """A person's account. Raises SettingsError where its password is missing."""
    return git.Login(name, paths.secret(password(name)))


def administrator(paths: Paths) -> git.Login:
    """The account that may do everything at the forge but merge. Raises SettingsError where its password is missing."""
    return git.Login(ADMINISTRATOR, paths.secret("forge-admin-password"))


@contextmanager
def main_of_forge(cluster: Cluster, paths: Paths) -> Iterator[git.Repository]:
    """A bare repository for one use whose `main` is the forge's. Raises SettingsError, Failure."""
    url = cluster.forge.clone_url
    with git.scratch(git.checkout(ROOT), administrator(paths), url) as scratch:
        scratch.git("fetch", "--quiet", url, "+refs/heads/main:refs/heads/main")
        yield scratch


def password(name: str) -> str:
    """The secret that holds a person's password."""
    return f"forge-{name}-password"


def connect(cluster: Cluster, paths: Paths, name: str) -> Forge:
    """The forge as a person sees it. Raises SettingsError."""
    account = login(paths, name)
    credentials = forge.Password(account.user, account.password)
    return forge.connect(cluster.forge.kind, cluster.forge.url, cluster.forge.repository, credentials)


def approve(cluster: Cluster, paths: Paths, number: int, head: str) -> str:
    """Approve a pull request's head as the people of the demo do; says what was done. Raises ForgeError."""
    cast = Cast.of(cluster.people)
    for name in cast.approvers:
        client = connect(cluster, paths, name)
        try:
            client.approve(number, head)
        finally:
            client.close()
    if cast.approvers:
        return f"approved by {' and '.join(cast.approvers)}"
    client = connect(cluster, paths, cast.proposer)
    try:
        client.comment(number, MERGE)
    finally:
        client.close()
    return f"{cast.proposer} asks for the merge: nobody else has to approve (people.approvals: 0)"
