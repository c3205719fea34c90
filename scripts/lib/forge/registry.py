"""The forges by name, as `forge.kind` in cluster.yaml gives it."""

from forge.gitea import Gitea
from forge.github import GitHub
from forge.http import Credentials
from forge.protocol import Forge

KINDS: dict[str, type[Gitea] | type[GitHub]] = {"gitea": Gitea, "github": GitHub}


def connect(kind: str, url: str, repository: str, credentials: Credentials | None, patience: float = 0.0) -> Forge:
    """A client for `repository` on the forge at `url`. `patience`: how many seconds a forge that is away is waited for.

    Raises:
        ValueError: for an unknown kind or a repository that is not `owner/name`.
    """
    if kind not in KINDS:
        raise ValueError(f"forge kind {kind!r} is unknown: use one of {', '.join(sorted(KINDS))}")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ValueError(f"repository {repository!r} is not of the form owner/name")
    return KINDS[kind](url, repository, credentials, patience)
