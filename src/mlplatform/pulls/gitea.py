"""Gitea's answers (1.26) read into the model."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mlplatform.pulls.model import Comment, Commit, Merge, Pull, Push, Review, Status

BRANCH = "refs/heads/"
PUSHED, DELETED = "commit_repo", "delete_branch"


def moment(text: str) -> datetime:
    """A time of the forge, with its zone."""
    return datetime.fromisoformat(text)


def account(entry: Mapping[str, Any] | None) -> str:
    """A user's login; that of a deleted account is empty, and so is nobody's that may approve."""
    return str((entry or {}).get("login") or "").casefold()


def pull(entry: Mapping[str, Any], repository: str) -> Pull:
    """A pull request without what other requests answer."""
    head = entry["head"]
    return Pull(
        number=int(entry["number"]),
        author=account(entry.get("user")),
        branch=str(head["ref"]),
        head=str(head["sha"]),
        draft=bool(entry.get("draft")),
        fork=((head.get("repo") or {}).get("full_name") or "").casefold() != repository.casefold(),
    )


def merge(entry: Mapping[str, Any], into: str) -> Merge | None:
    """The merge of a pull request, `None` of one that was not merged into this branch. In a list of pull requests the
    forge does not say who merged.
    """
    sha = str(entry.get("merge_commit_sha") or "")
    if not entry.get("merged") or entry["base"]["ref"] != into or not sha:
        return None
    time, head = moment(entry["merged_at"]), str(entry["head"]["sha"])
    return Merge(int(entry["number"]), sha, head, account(entry.get("merged_by")), time)


def pushes(entries: Iterable[Mapping[str, Any]]) -> list[Push]:
    """The pushes in a repository's activity, oldest first.

    The push that makes a branch is two entries: one without content, then one that compares with some commit before.
    """
    found: list[Push] = []
    made: set[str] = set()
    for entry in sorted(entries, key=lambda one: int(one["id"])):
        reference = str(entry.get("ref_name") or "")
        if not reference.startswith(BRANCH) or entry["op_type"] not in (PUSHED, DELETED):
            continue
        branch, by = reference.removeprefix(BRANCH), account(entry.get("act_user"))
        number, time = int(entry["id"]), moment(entry["created"])
        if entry["op_type"] == DELETED:
            made.discard(branch)
            found.append(Push(number, by, branch, "", "", time))
            continue
        if not entry.get("content"):
            made.add(branch)
            continue
        content = json.loads(entry["content"])
        new = str((content.get("HeadCommit") or {}).get("Sha1") or "")
        commits = tuple(str(one["Sha1"]) for one in content.get("Commits") or [])
        old = "" if branch in made else _before(str(content.get("CompareURL") or ""))
        made.discard(branch)
        found.append(Push(number, by, branch, old, new, time, commits))
    return found


def _before(comparison: str) -> str:
    """The commit that a push replaced, from the address that compares the two; where there is none, no commit's name:
    an empty one would say that the push made the branch."""
    return comparison.rpartition("/compare/")[2].partition("...")[0] or "unknown"


def commit(entry: Mapping[str, Any]) -> Commit:
    """A commit of a pull request."""
    people = {account(entry.get("author")), account(entry.get("committer"))} - {""}
    return Commit(str(entry["sha"]), frozenset(people))


def review(entry: Mapping[str, Any]) -> Review:
    """A review. The time is that of its last change."""
    return Review(
        id=int(entry["id"]),
        account=account(entry.get("user")),
        state=str(entry["state"]),
        commit=str(entry.get("commit_id") or ""),
        time=moment(entry["submitted_at"]),
        dismissed=bool(entry.get("dismissed")),
        counts_at_forge=bool(entry.get("official")),
    )


def status(entry: Mapping[str, Any], sha: str) -> Status:
    """A commit status."""
    return Status(
        id=int(entry["id"]),
        sha=sha,
        account=account(entry.get("creator")),
        context=str(entry["context"]),
        state=str(entry.get("status") or entry.get("state") or ""),
        description=str(entry.get("description") or ""),
        time=moment(entry["created_at"]),
    )


def comment(entry: Mapping[str, Any]) -> Comment:
    """A comment."""
    return Comment(
        id=int(entry["id"]),
        account=account(entry.get("user")),
        body=str(entry.get("body") or ""),
        created=moment(entry["created_at"]),
        updated=moment(entry["updated_at"]),
    )


def paths(entries: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The changed paths, old names of renamed files included."""
    found = {str(entry[key]) for entry in entries for key in ("filename", "previous_filename") if entry.get(key)}
    return tuple(sorted(found))
