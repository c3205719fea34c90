"""What of main's protection is enough, and what is said of approvals."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli import health, merging
from settings import Cluster, Paths, People, load_local

RULE = {
    "enable_push": False,
    "enable_force_push": False,
    "enable_merge_whitelist": True,
    "merge_whitelist_usernames": ["ml-merge"],
    "merge_whitelist_teams": [],
    "enable_status_check": True,
    "status_check_contexts": ["ready"],
    "block_admin_merge_override": True,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enable_push", True),
        ("enable_force_push", True),
        ("enable_merge_whitelist", False),
        ("merge_whitelist_usernames", ["ml-merge", "platform-admin"]),
        ("merge_whitelist_teams", ["everybody"]),
        ("enable_status_check", False),
        ("status_check_contexts", ["quality-gate"]),
        ("block_admin_merge_override", False),
    ],
)
def test_whatever_lets_more_than_the_bot_merge_is_a_problem(key: str, value: Any) -> None:
    assert len(merging.problems(RULE | {key: value})) == 1


@pytest.fixture
def place(tmp_path: Path) -> tuple[Cluster, Paths]:
    paths = Paths(state=tmp_path, cache=tmp_path)
    paths.secrets.mkdir()
    (paths.secrets / "forge-admin-password").write_text("password-0123456789\n")
    return load_local("local"), paths


@pytest.mark.parametrize(
    ("answer", "ok", "said"),
    [
        (json.dumps(RULE), True, "ml-merge merges what 1 other person approved"),
        (json.dumps(RULE | {"status_check_contexts": ["quality-gate"]}), False, "does not ask for the status ready"),
        ("", False, "main is not protected, or the forge does not say"),
    ],
)
def test_the_check_says_who_may_merge(
    place: tuple[Cluster, Paths], monkeypatch: pytest.MonkeyPatch, answer: str, ok: bool, said: str
) -> None:
    monkeypatch.setattr(health, "content", lambda url, login, limit: answer)
    check = merging.check(*place)
    assert check.ok is ok
    assert said in check.detail
    assert bool(check.fix) is not ok


def test_a_person_who_works_alone_is_told_so() -> None:
    assert "approvals: 0" in merging.said(People(owners=["ada"], approvals=0))
    assert "2 other people" in merging.said(People(owners=["ada", "bob", "carol"], approvals=2))
