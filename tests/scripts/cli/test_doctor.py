"""Each finding says what is wrong and what fixes it."""

from pathlib import Path

import pytest

from cli import doctor
from settings import Paths


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
