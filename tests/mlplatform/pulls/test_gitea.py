"""Gitea's answers as the model; tests/apps/bot reads them from a real one."""

import json
from typing import Any

from mlplatform.pulls import gitea
from mlplatform.pulls.model import on_record, pushes_of


def entry(number: int, operation: str, content: dict[str, Any] | None, branch: str = "change") -> dict[str, Any]:
    return {
        "id": number,
        "op_type": operation,
        "ref_name": f"refs/heads/{branch}",
        "content": json.dumps(content) if content else "",
        "created": "2026-01-01T00:00:00Z",
        "act_user": {"login": "Member"},
    }


def pushed(old: str, new: str) -> dict[str, Any]:
    return {"HeadCommit": {"Sha1": new}, "Commits": [{"Sha1": new}], "CompareURL": f"ml/platform/compare/{old}...{new}"}


def test_the_making_of_a_branch_is_two_entries_in_any_order() -> None:
    found = gitea.pushes(
        [
            entry(3, "commit_repo", pushed("a", "b")),
            entry(2, "commit_repo", pushed("main", "a")),
            entry(1, "commit_repo", None),
        ]
    )
    assert [(one.old, one.new, one.account) for one in found] == [("", "a", "member"), ("a", "b", "member")]
    assert on_record(pushes_of("change", found), "b")


def test_a_push_without_the_branchs_making_is_not_its_making() -> None:
    [alone] = gitea.pushes([entry(2, "commit_repo", pushed("main", "a"))])
    assert alone.old == "main"
    [nothing] = gitea.pushes([entry(2, "commit_repo", {"HeadCommit": {"Sha1": "a"}, "CompareURL": ""})])
    assert nothing.old == "unknown"


def test_tags_and_other_activity_are_no_pushes() -> None:
    tag = entry(1, "push_tag", pushed("a", "b")) | {"ref_name": "refs/tags/v1"}
    assert gitea.pushes([tag, entry(2, "merge_pull_request", None)]) == []


def test_a_deleted_account_is_nobody() -> None:
    assert gitea.account(None) == ""
    assert (
        gitea.status({"id": 1, "context": "c", "status": "success", "created_at": "2026-01-01T00:00:00Z"}, "a").account
        == ""
    )


def test_renamed_files_have_both_names() -> None:
    files = [{"filename": "ml/x", "previous_filename": "scripts/x"}, {"filename": "README.md"}]
    assert gitea.paths(files) == ("README.md", "ml/x", "scripts/x")


def test_a_head_whose_repository_is_gone_is_a_forks() -> None:
    head = {"ref": "change", "sha": "a", "repo": None}
    assert gitea.pull({"number": 1, "head": head, "user": None}, "ml/platform").fork


def test_a_pull_request_that_was_not_merged_into_the_branch_is_no_merge() -> None:
    entry = {
        "number": 3,
        "merged": True,
        "merged_at": "2026-01-01T00:00:00Z",
        "merged_by": {"login": "Member"},
        "merge_commit_sha": "c",
        "base": {"ref": "main"},
        "head": {"sha": "a"},
    }
    found = gitea.merge(entry, "main")
    assert found is not None
    assert (found.number, found.sha, found.head, found.account) == (3, "c", "a", "member")
    assert gitea.merge(entry, "release") is None
    assert gitea.merge({**entry, "merged": False, "merged_at": None, "merge_commit_sha": None}, "main") is None
