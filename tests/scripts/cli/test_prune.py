"""`scripts/prune` lists before it deletes, and takes for named what the forge's commits name."""

import hashlib
import json
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import app, people, prune
from cli.failure import BadInput, Failure
from images.catalog import images
from mlplatform.host import folders
from mlplatform.registry.prune import Image
from settings import ROOT, Cluster, Paths, SettingsError
from toolchain import load

OLD = time.time() - 31 * 86400
NOW = datetime.now(UTC)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A machine with caches and without a platform."""
    monkeypatch.setattr(folders, "RECORD", tmp_path / "record")
    made = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    made.secrets.mkdir(parents=True)
    made.cache.mkdir()
    (made.cache / folders.CACHE.marker).touch()
    return made


def old(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x" * 9000)
    os.utime(path, (OLD, OLD))
    return path


def test_d17_what_the_locks_and_the_tools_of_this_checkout_name_stays(machine: Paths) -> None:
    sum_ = hashlib.sha256((ROOT / "requirements" / "ops.txt").read_bytes()).hexdigest()[:12]
    tool = next(iter(load().values()))
    old(machine.cache / "venvs" / f"ops-{sum_}")
    old(machine.tools / tool.name / tool.version)
    gone = [old(machine.cache / "venvs" / "ops-000000000000"), old(machine.tools / tool.name / "v0")]
    found = prune.look(app.cluster("local"), machine, NOW)
    assert found == prune.Found([], gone)
    prune.delete_folders(found)
    assert prune.look(app.cluster("local"), machine, NOW) == prune.Found([], [])
    assert (machine.tools / tool.name / tool.version / "file").is_file()


def test_the_name_of_an_environment_is_the_one_that_the_scripts_give_it() -> None:
    made = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev"], capture_output=True, text=True, check=True)
    sum_ = hashlib.sha256((ROOT / "requirements" / "dev.txt").read_bytes()).hexdigest()[:12]
    assert Path(made.stdout.strip()).name == f"dev-{sum_}"


def test_d17_somebody_elses_folder_is_refused_and_untouched(machine: Paths) -> None:
    (machine.cache / folders.CACHE.marker).unlink()
    path = old(machine.cache / "venvs" / "ops-000000000000")
    (machine.cache / "thesis.tex").write_text("mine")
    with pytest.raises(SettingsError, match=r"nothing shows that .* is the platform's"):
        prune.look(app.cluster("local"), machine, NOW)
    assert (path / "file").is_file()


def test_everything_is_listed_and_without_a_terminal_only_yes_deletes(
    machine: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old(machine.cache / "venvs" / "ops-0")
    prune.show(prune.Found([Image("app", "sha256:1", NOW, frozenset({"v1"}))], [path]))
    shown = capsys.readouterr().err
    assert "app@sha256:1 (v1)" in shown
    assert str(path) in shown.replace("\n", "")
    with pytest.raises(BadInput, match="nothing was deleted"):
        prune.confirm(yes=False)
    prune.confirm(yes=True)


@pytest.fixture
def cluster(gitea: Any, machine: Paths, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """One whose forge is a real one, with a repository for this test."""
    local = app.cluster("local")
    place = local.forge.model_copy(update={"url": gitea.url, "repository": gitea.new_repository()})
    monkeypatch.setattr(people, "ADMINISTRATOR", "owner")
    # The forge takes a token for a password.
    (machine.secrets / "forge-admin-password").write_text(gitea.tokens["owner"])
    (machine.state / "images.json").write_text(json.dumps({"python": digest("a")}))
    return local.model_copy(update={"forge": place})


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


@pytest.mark.tools
def test_d17_images_are_named_by_main_open_pull_requests_tags_and_this_machine(
    cluster: Cluster, machine: Paths, gitea: Any, tmp_path: Path
) -> None:
    folder, name = tmp_path / "checkout", cluster.forge.repository

    def run(*arguments: str) -> None:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", *arguments]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    def commit(letter: str) -> None:
        path = folder / "apps/classifier/overlays/dev/kustomization.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"digest: {digest(letter)}\n")
        run("add", "--all")
        run("commit", "--quiet", "--message", letter)

    folder.mkdir()
    run("clone", "--quiet", gitea.clone_url(name, "owner"), ".")
    commit("b")
    commit("c")
    run("push", "--quiet", "origin", "main")
    for branch, letter in (("tagged", "d"), ("open", "e"), ("closed", "f")):
        run("checkout", "--quiet", "-b", branch, "main")
        commit(letter)
    run("tag", "v1", "tagged")
    run("push", "--quiet", "origin", "v1", "open", "closed")
    for branch in ("open", "closed"):
        body = {"title": branch, "head": branch, "base": "main"}
        made = gitea.api("POST", f"/repos/{name}/pulls", "owner", body).json()
        if branch == "closed":
            gitea.api("PATCH", f"/repos/{name}/pulls/{made['number']}", "owner", {"state": "closed"})

    found = prune.named_images(cluster, machine)
    assert {one for one in found if one.startswith("sha256:")} == {digest(letter) for letter in "abcde"}
    assert found >= {image.path for image in images().values()}


@pytest.mark.tools
def test_d17_a_forge_that_does_not_answer_prunes_no_image(cluster: Cluster, machine: Paths) -> None:
    away = cluster.model_copy(update={"forge": cluster.forge.model_copy(update={"url": "http://127.0.0.1:1"})})
    prune.data(machine).mkdir(parents=True)
    with pytest.raises(Failure, match="what is in use cannot be told"):
        prune.look(away, machine, NOW)
