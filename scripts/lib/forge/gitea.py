"""Gitea, tried with 1.26."""

from urllib.parse import quote

from forge.http import Credentials, ForgeError
from forge.models import Branch, PullRequest
from forge.rest import RestForge, pull_request


class Gitea(RestForge):
    """`forge.Forge` on Gitea.

    Args:
        url: address of the forge (its ROOT_URL).
        repository: `owner/name`.
    """

    APPROVAL = "APPROVED"

    def __init__(self, url: str, repository: str, credentials: Credentials | None, patience: float = 0.0) -> None:
        url = url.rstrip("/")
        super().__init__(url, f"{url}/api/v1", repository, credentials, patience)

    def merged_by(self, sha: str) -> PullRequest | None:
        answer = self._api.find(f"{self._repo}/commits/{sha}/pull")
        return None if answer is None else pull_request(answer)

    def _merge(self, number: int, head_sha: str) -> None:
        self._api.json("POST", f"{self._repo}/pulls/{number}/merge", {"Do": "merge", "head_commit_id": head_sha})

    def _not_yet_mergeable(self, error: ForgeError) -> bool:
        # Said while the conflict check of a new head still runs.
        return error.status == 405 and "try again later" in error.detail.lower()

    def create_branch(self, name: str, source: str) -> Branch:
        request = {"new_branch_name": name, "old_ref_name": source}
        answer = self._api.json("POST", f"{self._repo}/branches", request)
        return Branch(answer["name"], answer["commit"]["id"])

    def delete_branch(self, name: str) -> None:
        self._delete(f"{self._repo}/branches/{quote(name)}")
