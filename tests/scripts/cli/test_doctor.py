"""Each finding says what is wrong and what fixes it."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli import app, doctor, prune
from images import store
from images.catalog import images
from mlplatform.host import folders
from mlplatform.toolchain.first_use import FILE, FirstUse
from settings import Paths
from toolchain import Tool, installer, load
from toolchain.store import Store


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=tmp_path / "state", cache=tmp_path / "cache")


def test_an_unknown_cluster_is_one_finding_among_the_others(paths: Paths) -> None:
    checks = {check.name: check for check in doctor.examine("lokal", paths)}
    assert not checks["settings"].ok
    assert "clusters here: dev, local" in checks["settings"].detail
    assert checks["git"].ok


def test_a_machine_without_a_platform_is_told_how_to_get_one(paths: Paths) -> None:
    checks = {check.name: check for check in doctor.examine("local", paths)}
    assert checks["settings"].ok
    assert "scripts/up" in checks["platform"].detail
    assert not checks["tools"].ok
    assert checks["tools"].fix == "scripts/up makes them"


@pytest.mark.parametrize(("gib", "lacking"), [(4, {"state", "cache"}), (24, {"cache"}), (26, set())])
def test_a_disk_has_room_for_what_the_setup_asks_for(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, gib: int, lacking: set[str]
) -> None:
    room = shutil.disk_usage("/")._replace(free=gib * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    found = {check.name: check for check in doctor.prerequisites(paths)}
    assert {name for name in ("state", "cache") if not found[f"disk for {name}"].ok} == lacking


def test_what_is_trusted_on_first_use_is_shown_with_who_said_so(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed release without a pinned sum and an image without a pinned digest; not a file of another version."""
    gitea = load()["gitea"]
    unpinned = replace(gitea, release_entry={**gitea.release_entry, "sha256": {}})
    monkeypatch.setattr(installer.manifest, "load", lambda: {"gitea": unpinned})
    monkeypatch.setattr(installer.platform, "machine", lambda: "x86_64")
    argocd = replace(images()["argocd"], digest="")
    monkeypatch.setattr(store, "images", lambda: {"argocd": argocd})
    [file] = unpinned.published("amd64").values()
    record = FirstUse(paths.state / FILE)
    record.record(file.url, "1" * 64, file.checksums)
    record.record(file.url.replace(unpinned.version, "v1.0.0"), "2" * 64, file.checksums)
    record.record(argocd.upstream, "3" * 64, argocd.registry)

    def shown() -> str:
        checks = {check.name: check for check in doctor.examine("local", paths)}
        assert checks["trusted on first use"].ok
        return checks["trusted on first use"].detail

    assert "1111" not in shown(), "it is not installed"
    with Store(paths.tools, paths.bin).staging(_with_folder(unpinned, paths), lambda: "release") as folder:
        (folder / "gitea").touch()
    assert f"{file.url} (sha256 111111111111... of {file.checksums}, since 20" in shown()
    assert f"{argocd.upstream} (sha256 333333333333... of quay.io, since 20" in shown()
    assert "2222" not in shown()


def _with_folder(tool: Tool, paths: Paths) -> Tool:
    (paths.tools / tool.name).mkdir(parents=True)
    return tool


def test_a_record_that_was_tampered_with_is_a_finding(paths: Paths) -> None:
    paths.state.mkdir()
    (paths.state / FILE).write_text("{")
    checks = {check.name: check for check in doctor.examine("local", paths)}
    assert not checks["trusted on first use"].ok
    assert "is damaged; restore it, or remove it" in checks["trusted on first use"].detail
    assert checks["trusted on first use"].fix


def test_d17_what_is_old_and_unused_is_a_warning_that_names_the_command(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "RECORD", paths.state / "record")
    path = paths.cache / "venvs" / "ops-000000000000"
    path.mkdir(parents=True)
    folders.claim(paths.cache, folders.CACHE)
    cluster = app.cluster("local")
    found = doctor.unused(cluster, paths)
    assert (found.ok, found.detail, found.fix) == (True, "nothing that is old or too much", "")
    (path / "file").write_bytes(b"x" * 8192)
    long_ago = time.time() - 31 * 86400
    os.utime(path, (long_ago, long_ago))
    found = doctor.unused(cluster, paths)
    assert (found.ok, found.detail) == (True, "8.0 KiB are old or too much")
    assert found.fix.startswith("scripts/prune ")
    # It cannot be known without the forge what of the registry is in use.
    prune.data(paths).mkdir(parents=True)
    assert doctor.unused(cluster, paths).detail.startswith("cannot be told: ")


def test_every_finding_that_is_wrong_has_a_fix(paths: Paths) -> None:
    assert [check.name for check in doctor.examine("local", paths) if not check.ok and not check.fix] == []


@pytest.mark.parametrize(
    ("identity", "version", "ok"),
    [("debian", "12", True), ("debian", "13", True), ("debian", "11", False), ("ubuntu", "24.04", False)],
)
def test_only_supported_systems_pass(monkeypatch: pytest.MonkeyPatch, identity: str, version: str, ok: bool) -> None:
    release = {"ID": identity, "VERSION_ID": version, "PRETTY_NAME": f"{identity} {version}"}
    monkeypatch.setattr(doctor.platform, "freedesktop_os_release", lambda: release)
    assert doctor._system().ok is ok
