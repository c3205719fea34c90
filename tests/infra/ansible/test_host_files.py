"""Files and directories are brought to content, mode and owner, and only what changed is reported."""

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ME = (os.getuid(), os.getgid())


@pytest.fixture
def files(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("host_files")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_file_is_written_once(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "settings"
    assert files.keep(path, "a = 1\n", 0o640, ME, False)
    assert (path.read_text(), mode(path)) == ("a = 1\n", 0o640)
    assert not files.keep(path, "a = 1\n", 0o640, ME, False)


def test_only_the_mode_is_put_right(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text("a = 1\n")
    path.chmod(0o666)
    inode = path.stat().st_ino
    assert files.keep(path, "a = 1\n", 0o600, ME, False)
    assert (mode(path), path.stat().st_ino) == (0o600, inode)


def test_a_directory_is_made_with_its_mode(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "folder"
    assert files.keep(path, None, 0o711, ME, False)
    assert mode(path) == 0o711
    assert not files.keep(path, None, 0o711, ME, False)


def test_a_dry_run_reports_and_changes_nothing(files: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_text("old")
    assert files.keep(path, "new", 0o600, ME, True)
    assert path.read_text() == "old"


def test_nothing_half_written_stays_behind(files: ModuleType, tmp_path: Path) -> None:
    files.keep(tmp_path / "settings", "x" * 100_000, 0o600, ME, False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["settings"]


def test_the_owner_is_the_entrys_or_the_default(files: ModuleType) -> None:
    me = getpass.getuser()
    assert files.ownership({"owner": None, "group": None}, me) == ME
    assert files.ownership({"owner": "root", "group": None}, me) == (0, 0)
