"""The way past main's rules, on a real Gitea that is protected the way the platform's is."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import merge_anyway
from cli.failure import BadInput, Failure
from mlplatform.pulls.record import Record
from runner_harness.forge import PASSWORD, Forge, gitea

RULE = {
    "rule_name": "main",
    "enable_push": False,
    "enable_status_check": True,
    "status_check_contexts": ["quality-gate"],
    "block_on_outdated_branch": True,
    "block_on_rejected_reviews": True,
    "block_admin_merge_override": True,
}
WHITELIST = {"enable_merge_whitelist": True, "merge_whitelist_usernames": ["ml-merge"]}
WHY = "the gate's script has a syntax error"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with gitea(tmp_path_factory.mktemp("anyway") / "gitea", ("ml-merge",)) as forge:
        yield forge


@pytest.fixture
def repository(running: Forge) -> str:
    name = secrets.token_hex(4)
    running.api("POST", "/orgs/ml/repos", json={"name": name, "private": True, "default_branch": "main"})
    for account in ("member", "ml-merge"):
        running.api("PUT", f"/repos/ml/{name}/collaborators/{account}", json={"permission": "write"})
    running.push("main", {"README.md": "hello"}, repository=f"ml/{name}")
    return f"ml/{name}"


@pytest.fixture
def administrator(running: Forge, repository: str) -> Iterator[merge_anyway.Forge]:
    connected = merge_anyway.Forge(running.url, repository, "root", PASSWORD)
    yield connected
    connected.close()


def opened(running: Forge, repository: str) -> int:
    running.push("fix", {"fix": "it"}, user="member", repository=repository)
    body = {"title": "Fix the gate", "head": "fix", "base": "main"}
    return int(running.api("POST", f"/repos/{repository}/pulls", user="member", json=body)["number"])


def rule(running: Forge, repository: str) -> dict[str, Any]:
    return dict(running.api("GET", f"/repos/{repository}/branch_protections/main"))


@pytest.mark.tools
@pytest.mark.parametrize("whitelist", [WHITELIST, {}], ids=["the-bot-merges", "members-merge"])
def test_s13_a_broken_gate_has_a_way_out_that_writes_a_record(
    running: Forge, repository: str, administrator: merge_anyway.Forge, whitelist: dict[str, Any]
) -> None:
    running.api("POST", f"/repos/{repository}/branch_protections", json=RULE | whitelist)
    number = opened(running, repository)
    # Main moved meanwhile, which the rule blocks as well.
    running.api("DELETE", f"/repos/{repository}/branch_protections/main")
    running.push("main", {"other": "change"}, repository=repository)
    running.api("POST", f"/repos/{repository}/branch_protections", json=RULE | whitelist)
    refused = httpx.post(
        f"{running.url}/api/v1/repos/{repository}/pulls/{number}/merge",
        json={"Do": "merge", "force_merge": True},
        auth=("root", PASSWORD),
        trust_env=False,
    )
    assert refused.status_code == 405
    before = rule(running, repository)

    done = merge_anyway.merge(administrator, number, "alice", WHY)

    pull = running.api("GET", f"/repos/{repository}/pulls/{number}")
    assert pull["merged"]
    assert done == Record("alice", pull["head"]["sha"], WHY)
    message = running.api("GET", f"/repos/{repository}/git/commits/{pull['merge_commit_sha']}")["commit"]["message"]
    assert f"Merged-Anyway-By: alice\nMerged-Anyway-Because: {WHY}" in message
    [shown] = administrator.records(datetime.now(UTC) - timedelta(hours=1))
    assert (shown.number, shown.record) == (number, done)
    after = rule(running, repository)
    assert after | {"updated_at": before["updated_at"]} == before


@pytest.mark.tools
def test_the_protection_comes_back_when_the_merge_is_refused(
    running: Forge, repository: str, administrator: merge_anyway.Forge
) -> None:
    running.api("POST", f"/repos/{repository}/branch_protections", json=RULE | WHITELIST)
    number = opened(running, repository)
    running.api("PATCH", f"/repos/{repository}/pulls/{number}", json={"title": "WIP: not yet"})
    with pytest.raises(Failure, match="Work in progress"):
        merge_anyway.merge(administrator, number, "alice", WHY)
    found = rule(running, repository)
    assert found["block_admin_merge_override"]
    assert found["merge_whitelist_usernames"] == ["ml-merge"]
    assert not running.api("GET", f"/repos/{repository}/pulls/{number}")["merged"]


@pytest.mark.tools
def test_only_an_open_pull_request_into_main_is_taken(
    running: Forge, repository: str, administrator: merge_anyway.Forge
) -> None:
    with pytest.raises(BadInput, match="no such pull request"):
        merge_anyway.merge(administrator, 99, "alice", WHY)
    number = opened(running, repository)
    with pytest.raises(Failure, match="not protected"):
        merge_anyway.merge(administrator, number, "alice", WHY)
    running.api("PATCH", f"/repos/{repository}/pulls/{number}", json={"state": "closed"})
    with pytest.raises(BadInput, match="not open into main"):
        merge_anyway.merge(administrator, number, "alice", WHY)


def test_a_reason_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["merge-anyway", "--pull", "1", "--why", "  broken  "])
    assert merge_anyway.main() == 2
    assert "--why" in capsys.readouterr().err
