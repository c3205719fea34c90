"""GitHub: github.com and GitHub Enterprise Server."""

import functools
from contextlib import closing
from urllib.parse import quote

from forge.http import Credentials, ForgeError, Session
from forge.models import Branch, PullRequest
from forge.rest import RestForge, pull_request


class GitHub(RestForge):
    """`forge.Forge` on GitHub.

    Args:
        url: `https://github.com`, or the address of an Enterprise Server.
        repository: `owner/name`.
    """

    APPROVAL = "APPROVE"

    def __init__(self, url: str, repository: str, credentials: Credentials | None, patience: float = 0.0) -> None:
        url = url.rstrip("/")
        api = "https://api.github.com" if url == "https://github.com" else f"{url}/api/v3"
        super().__init__(url, api, repository, credentials, patience)
        self._graphql = api.removesuffix("/v3")
        self._credentials = credentials

    @functools.cached_property
    def _account(self) -> str:
        # An App's token has no user; only GraphQL says whose it is.
        with closing(Session(self._graphql, self._credentials)) as api:
            answer = api.json("POST", "/graphql", {"query": "{ viewer { login } }"}, repeatable=True)
        viewer = (answer.get("data") or {}).get("viewer")
        if not viewer:
            raise ForgeError("POST", f"{self._graphql}/graphql", 200, str(answer.get("errors"))[:200])
        return str(viewer["login"])

    def merged_by(self, sha: str) -> PullRequest | None:
        # All that hold the commit, those into other branches and open ones among them.
        found = [pull_request(entry) for entry in self._api.pages(f"{self._repo}/commits/{sha}/pulls")]
        return next((pull for pull in found if pull.merged and pull.merge_sha == sha), None)

    def _merge(self, number: int, head_sha: str) -> None:
        self._api.json("PUT", f"{self._repo}/pulls/{number}/merge", {"merge_method": "merge", "sha": head_sha})

    def _not_yet_mergeable(self, error: ForgeError) -> bool:
        # Said while `mergeable` is still unknown, or just after the base branch moved.
        return error.status == 405 and "base branch was modified" in error.detail.lower()

    def create_branch(self, name: str, source: str) -> Branch:
        start = self.branch(source)
        if start is None:
            raise ForgeError("GET", f"{self._api.root}{self._repo}/branches/{source}", 404, "no such branch")
        request = {"ref": f"refs/heads/{name}", "sha": start.sha}
        self._api.json("POST", f"{self._repo}/git/refs", request)
        return Branch(name, start.sha)

    def delete_branch(self, name: str) -> None:
        self._delete(f"{self._repo}/git/refs/heads/{quote(name)}")
