"""Promotions: what is proposed from main's history, what is refused, and the pull request on a real Gitea."""

import dataclasses
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import forge
from ci.git import Remote
from cli import pinning, promote
from cli.applications import Application
from cli.failure import BadInput, Failure
from cli.pinning import Change
from commits import Git
from mlplatform import pin
from mlplatform.pin import Pin
from pinned_app import BASE, DEV, FILES, STAGING, A, B, overlay, pins_of
from runner_harness.forge import Forge, gitea

RUNNING = Application("churn-dev", "dev", "Synced", "Healthy", "", (f"registry.test/churn@{A}",), "", False)


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
        ("other", "staging", "apps/other/overlays/staging/kustomization.yaml: main has no such file"),
    ],
)
def test_what_cannot_be_promoted_says_why(git: Git, app: str, target: str, problem: str) -> None:
    with pytest.raises(BadInput) as raised:
        promotion(git, target, app)
    assert raised.value.message.startswith(problem)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (None, "there is no Application churn-dev"),
        (dataclasses.replace(RUNNING, health="Degraded", message="crash loop"), "is Synced, Degraded crash loop"),
        (dataclasses.replace(RUNNING, sync="OutOfSync"), "is OutOfSync, Healthy"),
        (dataclasses.replace(RUNNING, images=(f"registry.test/churn@{B}",)), "does not run churn@sha256:aaaa"),
    ],
)
def test_only_what_runs_well_is_promoted(git: Git, found: Application | None, problem: str) -> None:
    release = promotion(git, "staging").release
    promote.check(RUNNING, "churn-dev", release)
    with pytest.raises(Failure, match=problem):
        promote.check(found, "churn-dev", release)


def test_the_text_says_what_changes_and_how_to_go_back(git: Git) -> None:
    merge(git, promotion(git, "staging"))
    change(git, {DEV: overlay(B)})
    found = promotion(git, "staging")
    text = found.text
    assert found.current
    assert f"| commit of main | {found.current.revision[:10]} | {found.release.revision[:10]} |" in text
    assert f"| `churn` | {A[:19]} | {B[:19]} |" in text
    assert "### What main got in between" in text
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

    def proposed() -> forge.PullRequest:
        with (
            closing(forge.connect("gitea", running.url, name, forge.Token(token))) as client,
            pinning.desk(client, remote) as desk,
        ):
            return desk.open(promote.promotion(desk.pins, "churn", "staging")[1])

    first = proposed()
    assert first.author == "ml-proposer"
    files = running.api("GET", f"/repos/{name}/pulls/{first.number}/files")
    assert [one["filename"] for one in files] == ["apps/churn/overlays/staging/release.yaml"]
    running.push("main", {"README.md": "nothing that staging runs\n"}, repository=name)
    assert proposed().number == first.number
    running.push("main", {DEV: overlay(B)}, repository=name)
    second = proposed()
    assert second.number != first.number
    assert running.api("GET", f"/repos/{name}/pulls/{first.number}")["state"] == "closed"
