"""`scripts/prune` lists before it deletes, and takes for named what the forge's commits name."""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import app, people, prune
from cli.down import size
from cli.failure import BadInput, Failure
from images.catalog import images
from mlplatform.host import folders
from mlplatform.registry.prune import MOST, Image
from mlplatform.retention import DAY, GIB, Limit, Unused
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


def old(path: Path, when: float = OLD) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_bytes(b"x" * 9000)
    os.utime(path, (when, when))
    return path


def test_d17_what_the_locks_and_the_tools_of_this_checkout_name_stays(machine: Paths) -> None:
    sum_ = hashlib.sha256((ROOT / "requirements" / "ops.txt").read_bytes()).hexdigest()[:12]
    tool = next(iter(load().values()))
    old(machine.cache / "venvs" / f"ops-{sum_}")
    old(machine.tools / tool.name / tool.version)
    gone = [old(machine.cache / "venvs" / "ops-000000000000"), old(machine.tools / tool.name / "v0")]
    found = prune.look(app.cluster("local"), machine, prune.LIMIT, NOW)
    assert (found.folders, found.images) == (gone, [])
    prune.delete_folders(found)
    assert prune.look(app.cluster("local"), machine, prune.LIMIT, NOW) == prune.Found([])
    assert (machine.tools / tool.name / tool.version / "file").is_file()


def test_d17_the_oldest_go_while_what_is_unused_takes_more_than_it_may(machine: Paths) -> None:
    day = 86400
    made = [old(machine.cache / "venvs" / f"ops-{age}", time.time() - age * day) for age in (9, 20, 2, 5)]
    young = old(machine.cache / "venvs" / "ops-young", time.time() - day / 2)
    one = size(young)
    assert one >= 9000

    def going(limit: Limit) -> list[str]:
        found = prune.look(app.cluster("local"), machine, limit, NOW)
        assert found.staying == (5 - len(found.going)) * one
        return [path.name for path in found.folders]

    assert going(prune.LIMIT) == []
    assert going(Limit(30 * DAY, 3 * one)) == ["ops-20", "ops-9"]
    assert going(Limit(4 * DAY, 5 * one)) == ["ops-20", "ops-9", "ops-5"]
    assert going(Limit(30 * DAY, 0)) == ["ops-20", "ops-9", "ops-5", "ops-2"]
    assert all(path.is_dir() for path in made), "looking deletes nothing"


def module(machine: Paths, name: str) -> Path:
    """A Go module, packed and unpacked, that was downloaded long ago."""
    packed = machine.cache / "go" / "mod" / "cache" / "download" / name.replace("@", "/@v/")
    packed.parent.mkdir(parents=True)
    packed.with_name(f"{packed.name}.zip").write_bytes(b"x" * 9000)
    return old(machine.cache / "go" / "mod" / name)


@pytest.mark.tools
def test_d17_downloads_that_this_checkout_does_not_name_go_and_are_listed_first(
    machine: Paths, capsys: pytest.CaptureFixture[str], tool: Callable[[str], Path]
) -> None:
    """uv's packages by uv itself: one by its name, one that nothing in uv's cache leads to."""
    line = (ROOT / "infra/toolchain/go/crane/go.sum").read_text().split()
    kept = module(machine, f"{line[0]}@{line[1].removesuffix('/go.mod')}".lower())
    gone = [module(machine, f"example.org/{name}@v1.0.0") for name in ("one", "two")]
    packages = [old(machine.cache / "uv" / "archive-v0" / name) for name in ("abc", "ghi")]
    link = machine.cache / "uv" / "wheels-v7" / "pypi" / "left" / "1.0-py3-none-any"
    link.parent.mkdir(parents=True)
    link.symlink_to(packages[0])
    shared = old(machine.cache / "uv" / "archive-v0" / "def")
    (machine.cache / "venvs").mkdir()
    (machine.cache / "venvs" / "hard-link").hardlink_to(shared / "file")
    found = prune.look(app.cluster("local"), machine, prune.LIMIT, NOW)
    assert (found.downloads(prune.GO), found.downloads(prune.UV)) == (gone, packages)
    assert found.folders == []

    prune.show(found, prune.LIMIT)
    shown = " ".join(capsys.readouterr().err.split())
    assert f"2 Go modules below {machine.cache / 'go/mod/example.org'}, there since" in shown
    assert f"2 Python packages below {shared.parent}, there since" in shown

    machine.bin.mkdir()
    (machine.bin / "uv").symlink_to(tool("uv"))
    prune.delete_downloads(found, machine)
    assert kept.is_dir()
    assert [path for path in gone if path.exists()] == []
    assert sorted(path.name for path in (machine.cache / "go").rglob("*.zip")) == [f"{kept.name.partition('@')[2]}.zip"]
    assert [path for path in (*packages, link) if path.is_symlink() or path.exists()] == []


def test_d17_downloads_go_by_size_and_never_through_a_link(machine: Paths, tmp_path: Path) -> None:
    path = module(machine, "example.org/one@v1.0.0")
    young = time.time() - 2 * 86400
    os.utime(path, (young, young))
    assert prune.look(app.cluster("local"), machine, prune.LIMIT, NOW).going == []
    none = Limit(30 * DAY, 0)
    assert prune.look(app.cluster("local"), machine, none, NOW).downloads(prune.GO) == [path]
    (machine.cache / "go").rename(tmp_path / "theirs")
    (machine.cache / "go").symlink_to(tmp_path / "theirs")
    assert prune.look(app.cluster("local"), machine, none, NOW).going == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--older-than", "0", "'0' is no number of days, such as 7"),
        ("--older-than", "-3", "'-3' is no number of days"),
        ("--older-than", "1.5", "'1.5' is no number of days"),
        ("--older-than", "9" * 30, "is no number of days"),
        ("--to-size", "-1", "'-1' is no size in GiB, such as 5"),
        ("--to-size", "5GiB", "'5GiB' is no size in GiB"),
        ("--to-size", "nan", "'nan' is no size in GiB"),
        ("--to-size", "inf", "'inf' is no size in GiB"),
    ],
)
def test_d17_an_age_or_a_size_that_is_none_is_refused(option: str, value: str, said: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "prune", "--dry-run", f"{option}={value}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_d17_an_age_and_a_size_are_days_and_gib() -> None:
    assert prune.days("1") == DAY
    assert prune.gibibytes("0") == 0
    assert prune.gibibytes("0.5") == GIB // 2


def test_the_name_of_an_environment_is_the_one_that_the_scripts_give_it() -> None:
    made = subprocess.run([ROOT / "scripts/lib/run", "--venv", "dev"], capture_output=True, text=True, check=True)
    sum_ = hashlib.sha256((ROOT / "requirements" / "dev.txt").read_bytes()).hexdigest()[:12]
    assert Path(made.stdout.strip()).name == f"dev-{sum_}"


def test_d17_somebody_elses_folder_is_refused_and_untouched(machine: Paths) -> None:
    (machine.cache / folders.CACHE.marker).unlink()
    path = old(machine.cache / "venvs" / "ops-000000000000")
    (machine.cache / "thesis.tex").write_text("mine")
    with pytest.raises(SettingsError, match=r"nothing shows that .* is the platform's"):
        prune.look(app.cluster("local"), machine, prune.LIMIT, NOW)
    assert (path / "file").is_file()


def test_everything_is_listed_and_without_a_terminal_only_yes_deletes(
    machine: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    path = old(machine.cache / "venvs" / "ops-0")
    images = tuple(Image("app", f"sha256:{number}", NOW, frozenset({f"v{number}"})) for number in (1, 2))
    going: list[Unused[prune.Thing]] = [Unused(path, 2048, NOW), Unused(images, 1024, NOW)]
    prune.show(prune.Found(going, 512), Limit(7 * DAY, 5 * GIB))
    shown = " ".join(capsys.readouterr().err.split())
    assert "older than 7 days or beyond 5.0 GiB" in shown
    assert "2.0 KiB" in shown
    assert "1.0 KiB image app@sha256:1 (v1), image app@sha256:2 (v2)" in shown
    assert str(path) in shown.replace(" ", "")
    assert "3.0 KiB in all go; 512 B of what nothing uses stay" in shown
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


def hold(data: Path, image: str, days: float) -> None:
    """Have the registry's folder hold an image, pushed so many days ago, of 9000 bytes."""
    name, when = image.removeprefix("sha256:"), time.time() - days * 86400
    link = data / f"docker/registry/v2/repositories/app/_manifests/revisions/sha256/{name}/link"
    blob = data / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
    for path, content in ((link, image), (blob, " " * 9000)):
        path.parent.mkdir(parents=True)
        path.write_text(content)
        os.utime(path, (when, when))


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

    for letter in "ef":
        hold(prune.data(machine), digest(letter), 2)
    for number in range(MOST):
        hold(prune.data(machine), digest(str(number)), 0.5)
    going = prune.look(cluster, machine, Limit(30 * DAY, 0), NOW)
    assert [(image.repository, image.digest) for image in going.images] == [("app", digest("f"))]
    assert [one.size for one in going.going] == [9000]
    assert prune.look(cluster, machine, prune.LIMIT, NOW) == prune.Found([], 9000)


@pytest.mark.tools
def test_d17_a_forge_that_does_not_answer_prunes_no_image(cluster: Cluster, machine: Paths) -> None:
    away = cluster.model_copy(update={"forge": cluster.forge.model_copy(update={"url": "http://127.0.0.1:1"})})
    prune.data(machine).mkdir(parents=True)
    with pytest.raises(Failure, match="what is in use cannot be told"):
        prune.look(away, machine, prune.LIMIT, NOW)
