"""Ours are installed only where the official plugins cannot be had, and one line says so."""

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlplatform.plugins.record import Plugin
from plugins import install
from settings import Paths, SettingsError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "state", tmp_path / "cache")
    folder = paths.tools / "pulumi" / "v0"
    folder.mkdir(parents=True)
    paths.bin.mkdir()
    (paths.bin / "pulumi").symlink_to(folder / "pulumi")
    return paths


@pytest.fixture
def environment(paths: Paths) -> dict[str, str]:
    return {"PATH": f"{paths.bin}:/usr/bin:/bin", "PULUMI_HOME": str(install.home(paths))}


def _pulumi(paths: Paths, script: str) -> None:
    """A stand-in for the command line, which downloads or does not."""
    binary = paths.tools / "pulumi" / "v0" / "pulumi"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)


DOWNLOADS = (
    'd="$PULUMI_HOME/plugins/resource-$4-v$5"; rm -rf "$d"; mkdir -p "$d"; echo official > "$d/pulumi-resource-$4"'
)


def _run(paths: Paths, environment: dict[str, str], **choice: Any) -> list[str]:
    lines: list[str] = []
    install.install(paths, environment, lines.append, **choice)
    return lines


def _sources(paths: Paths) -> dict[str, str | None]:
    return {slot.name: slot.source for slot in install.slots(paths)}


OURS, THEIRS = ({"aws": source, "kubernetes": source} for source in ("offline", "official"))


def test_offline_ours_are_installed_and_one_line_says_so(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: False)
    _pulumi(paths, "echo must not be asked >&2; exit 1")
    (line,) = _run(paths, environment)
    assert line.startswith("Pulumi's official plugins cannot be downloaded: using infra/plugins for aws ")
    assert line.endswith(" and the Python language host")
    for slot in install.slots(paths):
        assert slot.binary.stat().st_mode & stat.S_IXUSR
        assert f"-m plugins {slot.name} " in slot.binary.read_text()
    assert "-m plugins language " in (paths.tools / "pulumi" / "v0" / "pulumi-language-python").read_text()
    assert _run(paths, environment) == [], "said once"


def test_official_plugins_are_taken_where_they_can_be_downloaded(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: True)
    _pulumi(paths, DOWNLOADS)
    (paths.tools / "pulumi" / "v0" / "pulumi-language-python").write_text("official")
    assert _run(paths, environment) == []
    assert all(slot.official for slot in install.slots(paths))
    assert (paths.tools / "pulumi" / "v0" / "pulumi-language-python").read_text() == "official"
    assert _run(paths, environment) == []
    assert all(slot.binary.read_text() == "official\n" for slot in install.slots(paths))


def test_a_download_that_fails_falls_through(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: True)
    _pulumi(paths, f'[ "$4" = aws ] && exit 1; {DOWNLOADS}')
    (line,) = _run(paths, environment)
    assert "aws" in line
    assert "kubernetes" not in line
    assert {slot.name: slot.official for slot in install.slots(paths)} == {"aws": False, "kubernetes": True}


def test_p3_a_connection_and_an_upgraded_sdk_do_not_change_the_plugins(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: False)
    _pulumi(paths, DOWNLOADS)
    _run(paths, environment)
    assert _sources(paths) == OURS
    monkeypatch.setattr(install, "_reachable", lambda: True)
    monkeypatch.setattr(install.metadata, "version", lambda name: "99.0.0")
    (line,) = _run(paths, environment)
    assert _sources(paths) == OURS
    assert "aws 99.0.0, kubernetes 99.0.0" in line
    assert "as before; scripts/up --plugins official changes that" in line
    assert _run(paths, environment) == []


def test_p3_a_new_host_takes_the_plugins_that_wrote_the_state(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: True)
    _pulumi(paths, DOWNLOADS)
    wrote = frozenset({Plugin("aws", "offline", "1.0.0"), Plugin("kubernetes", "official", "1.0.0")})
    (line,) = _run(paths, environment, remembered=lambda: wrote)
    assert _sources(paths) == {"aws": "offline", "kubernetes": "official"}
    assert line.startswith("Using infra/plugins in place of Pulumi's official plugins for aws ")
    assert {one.source for one in install.plugins(paths)} == {"offline", "official"}


def test_p3_other_plugins_come_when_they_are_asked_for(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: True)
    _pulumi(paths, DOWNLOADS)
    _run(paths, environment, asked="offline")
    assert _sources(paths) == OURS
    assert _run(paths, environment, asked="official") == []
    assert _sources(paths) == THEIRS
    (line,) = _run(paths, environment, asked="offline")
    assert _sources(paths) == OURS
    assert line.endswith(", as asked")
    _run(paths, environment, asked="official")
    monkeypatch.setattr(install.metadata, "version", lambda name: "99.0.0")
    _run(paths, environment)
    assert _sources(paths) == THEIRS, "the choice that was made last holds"


@pytest.mark.parametrize("reachable", [True, False])
def test_p3_official_plugins_that_cannot_be_had_leave_what_is_there(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, reachable: bool
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: reachable)
    _pulumi(paths, 'rm -rf "$PULUMI_HOME/plugins/resource-$4-v$5"; exit 1')
    _run(paths, environment, asked="offline")
    with pytest.raises(SettingsError, match=r"--plugins official: aws .*, kubernetes .* cannot be downloaded"):
        _run(paths, environment, asked="official")
    assert _sources(paths) == OURS


def test_a_stale_launcher_is_renewed(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: False)
    _pulumi(paths, "exit 1")
    _run(paths, environment)
    for slot in install.slots(paths):
        slot.binary.write_text(f"#!/bin/sh\n{install.MARK}\nexec of-an-older-checkout\n")
    assert _run(paths, environment) == []
    assert all("-m plugins" in slot.binary.read_text() for slot in install.slots(paths))


def test_a_command_line_that_is_not_ours_is_left_alone(
    paths: Paths, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: False)
    elsewhere = tmp_path / "usr"
    elsewhere.mkdir()
    (elsewhere / "pulumi").write_text("#!/bin/sh\n")
    (elsewhere / "pulumi").chmod(0o755)
    _run(paths, {**environment, "PATH": f"{elsewhere}:/usr/bin"})
    assert [path.name for path in elsewhere.iterdir()] == ["pulumi"]
    assert (paths.bin / "pulumi-language-python").is_file(), "on PATH instead"


def test_without_the_command_line_the_fix_is_told(paths: Paths) -> None:
    with pytest.raises(SettingsError, match="pulumi is not installed; scripts/up installs it"):
        _run(paths, {"PATH": "/nowhere"})


def test_the_command_line_keeps_no_log(
    paths: Paths, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_reachable", lambda: False)
    _pulumi(paths, "exit 1")
    logs = install.home(paths) / "logs"
    logs.mkdir(parents=True)
    (logs / "old.log").write_text("x")
    _run(paths, environment)
    assert logs.is_file()


def test_a_launcher_without_its_environment_says_what_to_run(tmp_path: Path) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text(install.LAUNCHER.replace("PLUGIN", "aws"))
    done = subprocess.run(["sh", str(launcher)], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode != 0
    assert 'ML_PLATFORM_PYTHON: is not set: run  eval "$(scripts/env <cluster>)"  first' in done.stderr
