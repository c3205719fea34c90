"""The part of the REST API that Gitea and GitHub share, path for path and field for field."""

import base64
import functools
import itertools
import time
from typing import Any
from urllib.parse import quote

from forge.http import Credentials, ForgeError, Session
from forge.models import Branch, Comment, Job, PullRequest, Repository, Status, StatusState, WorkflowRun

DESCRIPTION_LIMIT = 140
MERGE_INTERVAL = 1.0
MOST_STATUSES = 1000


class RestForge:
    """Shared implementation of `forge.Forge`; the subclasses add what differs."""

    APPROVAL: str
    """What the forge calls an approving review."""

    def __init__(
        self, url: str, api: str, repository: str, credentials: Credentials | None, patience: float = 0.0
    ) -> None:
        self.repository = repository
        self.clone_url = f"{url}/{repository}.git"
        self._api = Session(api, credentials, patience=patience)
        self._repo = f"/repos/{repository}"

    def describe(self) -> Repository:
        answer = self._api.json("GET", self._repo)
        return Repository(answer["full_name"], answer["default_branch"], answer["private"], answer["html_url"])

    def pull_request(self, number: int) -> PullRequest:
        return pull_request(self._api.json("GET", f"{self._repo}/pulls/{number}"))

    def pull_requests(self, base: str | None = None) -> list[PullRequest]:
        entries = [pull_request(entry) for entry in self._api.pages(f"{self._repo}/pulls", {"state": "open"})]
        return [entry for entry in entries if base in (None, entry.base_branch)]

    def closed_pull_requests(self, base: str, most: int = 100) -> list[PullRequest]:
        pages = self._api.pages(f"{self._repo}/pulls", {"state": "closed"})
        entries = [pull_request(entry) for entry in itertools.islice(pages, most)]
        return [entry for entry in entries if entry.base_branch == base]

    def merged_by(self, sha: str) -> PullRequest | None:
        raise NotImplementedError

    def create_pull_request(self, title: str, body: str, head: str, base: str) -> PullRequest:
        request = {"title": title, "body": body, "head": head, "base": base}
        return pull_request(self._api.json("POST", f"{self._repo}/pulls", request))

    def close_pull_request(self, number: int) -> None:
        self._api.json("PATCH", f"{self._repo}/pulls/{number}", {"state": "closed"})

    def merge_pull_request(self, number: int, head_sha: str, patience: float = 30.0) -> str:
        deadline = time.monotonic() + patience
        while True:
            try:
                self._merge(number, head_sha)
            except ForgeError as error:
                if not self._not_yet_mergeable(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(MERGE_INTERVAL)
            else:
                return self.pull_request(number).merge_sha

    def _merge(self, number: int, head_sha: str) -> None:
        raise NotImplementedError

    def approve(self, number: int, head_sha: str) -> None:
        review = {"event": self.APPROVAL, "commit_id": head_sha}
        self._api.json("POST", f"{self._repo}/pulls/{number}/reviews", review)

    def _not_yet_mergeable(self, error: ForgeError) -> bool:
        raise NotImplementedError

    def changed_files(self, number: int) -> list[str]:
        names: set[str] = set()
        for entry in self._api.pages(f"{self._repo}/pulls/{number}/files"):
            names.add(entry["filename"])
            if entry.get("previous_filename"):
                names.add(entry["previous_filename"])
        return sorted(names)

    def set_status(self, sha: str, context: str, state: StatusState, description: str, target_url: str = "") -> None:
        if len(description) > DESCRIPTION_LIMIT:
            description = description[: DESCRIPTION_LIMIT - 3] + "..."
        request = {"context": context, "state": state, "description": description, "target_url": target_url}
        self._api.json("POST", f"{self._repo}/statuses/{sha}", request, repeatable=True)

    def status(self, sha: str, context: str, account: str) -> Status | None:
        # The combined status would have the latest of each context, whoever set it.
        newest = itertools.islice(self._api.pages(f"{self._repo}/commits/{sha}/statuses"), MOST_STATUSES)
        own = (entry for entry in newest if entry["context"] == context and _is_by(entry, account))
        # The list is ordered by seconds only.
        entry = max(own, key=lambda one: int(one["id"]), default=None)
        if entry is None:
            return None
        state = entry.get("state") or entry.get("status") or ""
        return Status(context, state, entry.get("description") or "", entry.get("target_url") or "")

    def comments(self, number: int) -> list[Comment]:
        return [_comment(entry) for entry in self._api.pages(f"{self._repo}/issues/{number}/comments")]

    def comment(self, number: int, body: str) -> Comment:
        return _comment(self._api.json("POST", f"{self._repo}/issues/{number}/comments", {"body": body}))

    def upsert_comment(self, number: int, marker: str, body: str) -> Comment:
        text = f"{marker}\n{body}"
        author = self.account().casefold()
        for comment in self.comments(number):
            # Only our own: anybody may write the marker, and we may not edit what another wrote.
            if comment.author.casefold() == author and comment.body.startswith(marker):
                if comment.body.replace("\r\n", "\n").strip() == text.strip():
                    return comment
                path = f"{self._repo}/issues/comments/{comment.id}"
                return _comment(self._api.json("PATCH", path, {"body": text}))
        return self.comment(number, text)

    def workflow_runs(self, head_sha: str) -> list[WorkflowRun]:
        pages = self._api.pages(f"{self._repo}/actions/runs", {"head_sha": head_sha}, key="workflow_runs")
        runs = [_workflow_run(entry) for entry in pages]
        return sorted((run for run in runs if run.head_sha == head_sha), key=lambda run: run.id, reverse=True)

    def jobs(self, run: int) -> list[Job]:
        return [
            Job(entry["id"], entry["name"], entry["status"], entry.get("conclusion") or "", entry.get("html_url") or "")
            for entry in self._api.pages(f"{self._repo}/actions/runs/{run}/jobs", key="jobs")
        ]

    def branch(self, name: str) -> Branch | None:
        answer = self._api.find(f"{self._repo}/branches/{quote(name)}")
        if answer is None:
            return None
        commit = answer["commit"]
        return Branch(answer["name"], commit.get("sha") or commit["id"])

    def create_branch(self, name: str, source: str) -> Branch:
        raise NotImplementedError

    def delete_branch(self, name: str) -> None:
        raise NotImplementedError

    def _delete(self, path: str) -> None:
        try:
            self._api.request("DELETE", path)
        except ForgeError as error:
            # GitHub says 422 for a reference that does not exist.
            if error.status not in (404, 422):
                raise

    def read_file(self, path: str, ref: str) -> bytes | None:
        answer = self._api.find(f"{self._repo}/contents/{quote(path)}?ref={quote(ref, safe='')}")
        return None if answer is None else base64.b64decode(answer["content"])

    @functools.cached_property
    def _account(self) -> str:
        return str(self._api.json("GET", "/user")["login"])

    def account(self) -> str:
        return self._account

    def close(self) -> None:
        self._api.close()


def pull_request(entry: dict[str, Any]) -> PullRequest:
    """A pull request as the API gives it."""
    head, base = entry["head"], entry["base"]
    return PullRequest(
        number=entry["number"],
        title=entry["title"],
        body=entry.get("body") or "",
        url=entry["html_url"],
        author=(entry.get("user") or {}).get("login", ""),
        open=entry["state"] == "open",
        merged=bool(entry.get("merged") or entry.get("merged_at")),
        head_branch=head["ref"],
        head_sha=head["sha"],
        head_repository=(head.get("repo") or {}).get("full_name", ""),
        base_branch=base["ref"],
        merge_sha=entry.get("merge_commit_sha") or "",
    )


def _comment(entry: dict[str, Any]) -> Comment:
    return Comment(entry["id"], (entry.get("user") or {}).get("login", ""), entry["body"] or "", entry["html_url"])


def _is_by(status: dict[str, Any], account: str) -> bool:
    # Of a deleted account there is none.
    login = str((status.get("creator") or {}).get("login") or "")
    return bool(login) and login.casefold() == account.casefold()


def _workflow_run(entry: dict[str, Any]) -> WorkflowRun:
    # Gitea: `train.yml@refs/pull/3/head`; GitHub: `.github/workflows/train.yml` with or without `@ref`.
    path, _, ref = entry["path"].partition("@")
    workflow = path.removeprefix(".github/workflows/")
    return WorkflowRun(
        id=entry["id"],
        workflow=workflow,
        event=entry["event"],
        head_sha=entry["head_sha"],
        status=entry["status"],
        conclusion=entry.get("conclusion") or "",
        url=entry["html_url"],
        ref=ref,
    )
