"""Promotions: what is proposed from main's history, what is refused, and the pull request on a real Gitea."""

import dataclasses
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import forge
from ci.git import Remote
from ci.tree import CommitTree
from cli import pinning, promote
from cli.applications import Application
from cli.failure import BadInput, Failure
from cli.pinning import Change
from commits import Git
from mlplatform import pin
from mlplatform.pin import Pin
from pinned_app import BASE, DEV, FILES, PROD, STAGING, A, B, overlay, pins_of
from runner_harness.forge import Forge, gitea


@pytest.fixture
def git(tmp_path: Path) -> Git:
    git = Git(tmp_path)
    git.init(FILES)
    return git


def change(git: Git, files: dict[str, str]) -> str:
    git.write(files)
    return git.commit()


def promotion(git: Git, target: str, app: str = "churn") -> Change:
    return promote.promotion(pins_of(git), app, target)[1]


def merge(git: Git, found: Change) -> None:
    change(git, {pin.path(found.app, found.environment): found.release.document().decode()})


def test_a_release_goes_from_environment_to_environment_as_it_is(git: Git) -> None:
    first = git("rev-parse", "HEAD")
    to_staging = promotion(git, "staging")
    assert (to_staging.release, to_staging.current) == (Pin(first, {"churn": A}), None)
    merge(git, to_staging)
    change(git, {DEV: overlay(B), BASE: "resources: []\nnamePrefix: x-\n"})
    to_prod = promotion(git, "prod")
    assert to_prod.release == to_staging.release
    assert to_prod.title == f"Promote churn {first[:10]} from staging to prod"


@pytest.mark.parametrize("files", [{DEV: overlay(B)}, {BASE: "namePrefix: x-\n"}, {STAGING: "namePrefix: y-\n"}])
def test_whatever_an_environment_would_run_differently_is_promoted(git: Git, files: dict[str, str]) -> None:
    before = promotion(git, "staging")
    merge(git, before)
    with pytest.raises(BadInput, match="staging is at this release already"):
        promotion(git, "staging")
    change(git, {"README.md": "nothing that staging runs"})
    with pytest.raises(BadInput, match="staging is at this release already"):
        promotion(git, "staging")
    last = change(git, files)
    found = promotion(git, "staging")
    assert found.release.revision == last
    assert found.current == before.release


@pytest.mark.parametrize(
    ("app", "target", "problem"),
    [
        ("churn", "dev", "--to dev: it follows main"),
        ("churn", "prod", "churn does not run in staging"),
        ("chrun", "staging", "chrun: main has no apps/chrun/overlays/"),
        ("other", "staging", "apps/other/overlays/staging/kustomization.yaml: main has no such file"),
    ],
)
def test_what_cannot_be_promoted_says_why(git: Git, app: str, target: str, problem: str) -> None:
    change(git, {"apps/other/overlays/dev/kustomization.yaml": "resources: [../../base]\n"})
    with pytest.raises(BadInput) as raised:
        promotion(git, target, app)
    assert raised.value.message.startswith(problem)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (None, "there is no Application churn-dev"),
        ({"health": "Degraded", "message": "crash loop"}, "is Synced, Degraded crash loop"),
        ({"sync": "OutOfSync"}, "is OutOfSync, Healthy"),
        ({"refreshing": True}, "is compared with git, before Synced, Healthy"),
        ({"images": (f"registry.test/churn@{B}",)}, "does not run churn@sha256:aaaa"),
        ({"revision": "0" * 40}, "does not run main's"),
        ({"revision": "before"}, "does not run main's"),
    ],
)
def test_only_what_runs_well_is_promoted(git: Git, changes: dict[str, Any] | None, problem: str) -> None:
    before = git("rev-parse", "HEAD")
    at = change(git, {BASE: "resources: []\nnamePrefix: x-\n"})
    running = Application("churn-dev", "dev", "Synced", "Healthy", at, (f"registry.test/churn@{A}",), "", False)
    # A commit that changes nothing of the app: Argo CD need not have seen it.
    change(git, {"README.md": "x"})
    promote.check(pins_of(git), running, "churn", "dev")
    if changes and changes.get("revision") == "before":
        changes = {"revision": before}
    found = None if changes is None else dataclasses.replace(running, **changes)
    with pytest.raises(Failure, match=problem):
        promote.check(pins_of(git), found, "churn", "dev")


def test_a_change_of_a_later_overlay_alone_is_promoted_with_the_release_that_is_there(git: Git) -> None:
    merge(git, promotion(git, "staging"))
    merge(git, promotion(git, "prod"))
    change(git, {"apps/churn/overlays/staging/x.md": "nothing of prod"})
    last = change(git, {PROD: f"{FILES[PROD]}replicas: [{{name: churn, count: 3}}]\n"})
    # What dev gets after it is none of it.
    change(git, {DEV: overlay(B)})
    found = promotion(git, "prod")
    assert found.release == Pin(last, {"churn": A})
    main = pins_of(git)
    git.write({pin.path("churn", "prod"): found.release.document().decode()})
    head = CommitTree(main.repository, git.commit())
    assert list(main.problems("churn", "prod", "staging", head)) == []


def test_an_overlay_that_changed_after_a_base_that_staging_lacks_waits_for_staging(git: Git) -> None:
    merge(git, promotion(git, "staging"))
    change(git, {BASE: "resources: []\nnamePrefix: x-\n"})
    change(git, {PROD: f"{FILES[PROD]}replicas: [{{name: churn, count: 3}}]\n"})
    with pytest.raises(BadInput) as raised:
        promotion(git, "prod")
    assert raised.value.message.startswith("main changed apps/churn/overlays/prod after what staging runs")
    assert raised.value.fix.startswith("promote churn to staging first")
    to_staging = promotion(git, "staging")
    merge(git, to_staging)
    assert promotion(git, "prod").release == to_staging.release


def test_a_branch_is_of_one_app_in_one_environment(git: Git) -> None:
    """Not of the app `churn-staging` too."""
    found = promotion(git, "staging")
    assert found.branch == f"promote/churn/staging/{found.release.revision[:10]}"
    back = dataclasses.replace(found, kind="rollback")
    assert found.is_superseded("promote/churn/staging/0123456789")
    assert not found.is_superseded("promote/churn/prod/0123456789")
    assert not found.is_superseded("promote/churn-staging/x/0123456789")
    assert found.is_held_up(back.branch)
    assert not found.is_superseded(back.branch)
    # Merged after it, the promotion would undo it.
    assert back.is_superseded(found.branch)
    assert not back.is_held_up(found.branch)


def test_the_text_says_what_changes_and_how_to_go_back(git: Git) -> None:
    merge(git, promotion(git, "staging"))
    change(git, {DEV: overlay(B)})
    change(git, {STAGING: f"{FILES[STAGING]}namePrefix: x-\n"})
    found = promotion(git, "staging")
    text = found.text
    assert found.current
    assert f"| commit of main | {found.current.revision[:10]} | {found.release.revision[:10]} |" in text
    assert f"| `churn` | {A[:19]} | {B[:19]} |" in text
    _, _, commits = text.partition("### What main got in between\n\n")
    assert len([line for line in commits.splitlines() if line.startswith("    ")]) == 2
    assert "`scripts/rollback churn --environment staging`" in text


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    with gitea(tmp_path_factory.mktemp("promote") / "gitea", ("ml-proposer",)) as forge:
        yield forge


@pytest.mark.tools
def test_one_pull_request_is_open_and_a_newer_release_takes_its_place(running: Forge) -> None:
    name = f"ml/{secrets.token_hex(4)}"
    running.api("POST", "/orgs/ml/repos", json={"name": name[3:], "private": True, "default_branch": "main"})
    running.api("PUT", f"/repos/{name}/collaborators/ml-proposer", json={"permission": "write"})
    running.push("main", FILES, repository=name)
    token = running.token("ml-proposer", "read:user,write:issue,write:repository")
    remote = Remote(f"{running.url}/{name}.git", token)

    def proposed() -> pinning.Proposal:
        with (
            closing(forge.connect("gitea", running.url, name, forge.Token(token))) as client,
            pinning.proposals(client, remote) as proposals,
        ):
            return proposals.open(promote.promotion(proposals.pins, "churn", "staging")[1])

    opened = proposed()
    assert opened.is_new
    first = opened.pull
    assert first.author == "ml-proposer"
    files = running.api("GET", f"/repos/{name}/pulls/{first.number}/files")
    assert [one["filename"] for one in files] == ["apps/churn/overlays/staging/release.yaml"]
    running.push("main", {"README.md": "nothing that staging runs\n"}, repository=name)
    assert proposed() == pinning.Proposal(first, is_new=False)
    running.push("main", {DEV: overlay(B)}, repository=name)
    second = proposed().pull
    assert second.number != first.number
    assert running.api("GET", f"/repos/{name}/pulls/{first.number}")["state"] == "closed"
