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
    assert files.ownership({"owner": "1000", "group": None}, me) == (1000, 1000)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which others may put links, as a service's own is for root."""
    folder = tmp_path / "object-store"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_s18_a_link_in_a_folder_that_others_may_write_is_refused(
    files: ModuleType, tmp_path: Path, shared: Path
) -> None:
    target = tmp_path / "etc"
    target.mkdir(mode=0o755)
    (target / "passwd").write_text("root")
    (shared / "buckets").symlink_to(target)
    (shared / "users.json").symlink_to(target / "passwd")
    before = [path.stat() for path in (target, target / "passwd")]
    for name, content in (("buckets", None), ("buckets/inner", None), ("buckets/passwd", "x"), ("users.json", "root")):
        with pytest.raises(OSError, match="leads through a link that others could set; remove the link"):
            files.keep(shared / name, content, 0o700, ME, False)
    assert [path.stat() for path in (target, target / "passwd")] == before
    assert (target / "passwd").read_text() == "root"
    assert not (target / "inner").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_s18_a_folder_of_a_service_account_is_as_untrusted(files: ModuleType, tmp_path: Path) -> None:
    folder, target = tmp_path / "gitea", tmp_path / "etc"
    folder.mkdir(mode=0o700)
    target.mkdir(mode=0o755)
    (folder / "data").symlink_to(target)
    os.chown(folder, 65534, 65534)
    with pytest.raises(OSError, match="leads through a link"):
        files.keep(folder / "data", None, 0o700, (65534, 65534), False)
    assert (target.stat().st_uid, mode(target)) == (0, 0o755)


def test_s18_a_file_with_a_second_name_keeps_its_owner_and_gets_a_successor(
    files: ModuleType, tmp_path: Path, shared: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("same")
    other.chmod(0o644)
    (shared / "app.ini").hardlink_to(other)
    assert files.keep(shared / "app.ini", "same", 0o600, ME, False)
    assert mode(other) == 0o644
    assert (shared / "app.ini").stat().st_ino != other.stat().st_ino


def test_s18_what_is_no_file_is_refused(files: ModuleType, shared: Path) -> None:
    os.mkfifo(shared / "app.ini")
    with pytest.raises(OSError, match="is no plain file"):
        files.keep(shared / "app.ini", "x", 0o600, ME, False)


def test_a_link_that_only_this_user_could_set_is_followed(files: ModuleType, tmp_path: Path) -> None:
    """A state directory may be a link to another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "state").mkdir()
    (tmp_path / "state").symlink_to("disk/state")
    (tmp_path / "absolute").symlink_to(tmp_path / "state")
    assert files.keep(tmp_path / "state", None, 0o711, ME, False)
    assert files.keep(tmp_path / "absolute" / "logs", None, 0o750, ME, False)
    assert mode(tmp_path / "disk" / "state") == 0o711
    assert mode(tmp_path / "disk" / "state" / "logs") == 0o750


def test_links_in_a_circle_end(files: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="leads through a link"):
        files.keep(tmp_path / "a", None, 0o711, ME, False)


def test_a_dry_run_needs_no_folder(files: ModuleType, tmp_path: Path) -> None:
    assert files.keep(tmp_path / "missing" / "settings", "x", 0o600, ME, True)
    assert files.keep(tmp_path / "missing" / "folder", None, 0o700, ME, True)
