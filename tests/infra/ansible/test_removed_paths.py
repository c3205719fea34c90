"""What is removed, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def paths(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("removed_paths")


def test_a_link_goes_and_its_target_stays(paths: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "state" / "kubernetes"
    target.mkdir(parents=True)
    (target / "admin.conf").touch()
    link = tmp_path / "etc-kubernetes"
    link.symlink_to(target)
    paths.remove(link)
    assert not link.is_symlink()
    assert (target / "admin.conf").exists()


def test_a_shared_folder_with_a_file_in_it_holds_something(paths: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "modules" / "6.1" / "kernel").mkdir(parents=True)
    assert paths.holds_nothing(tmp_path / "modules")
    (tmp_path / "modules" / "6.1" / "kernel" / "overlay.ko").touch()
    assert not paths.holds_nothing(tmp_path / "modules")
    assert not paths.holds_nothing(tmp_path / "missing")
