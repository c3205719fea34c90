"""The programs of checks in the base layer: copied whole or not at all, and the newest set counts."""

import os
import stat
import time
from pathlib import Path

import pytest

from mlplatform.base_layer.folders import DAY, BaseLayerError
from mlplatform.base_layer.tools import BESIDE, PROGRAMS, Tools, sources


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A host's programs, linked in one folder."""
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        folder = tmp_path / "tools" / name / "v1"
        for place in (name, *BESIDE.get(name, ())):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(f"{name}: {place}\n")
        (folder / name).chmod(0o755)
        (tmp_path / "bin" / name).symlink_to(folder / name)
    return sources(tmp_path / "bin")


@pytest.fixture
def layer(tmp_path: Path) -> Tools:
    return Tools(tmp_path / "base" / "tools")


def test_b6_a_set_holds_programs_with_what_lies_beside_them_and_cannot_be_changed_by_mistake(
    files: dict[str, str], layer: Tools
) -> None:
    name = layer.take(files)
    found = layer.newest()
    assert found
    assert found.name == name
    assert (found / "argocd" / "manifests" / "install.yaml").read_text() == "argocd: manifests/install.yaml\n"
    for program in PROGRAMS:
        assert stat.S_IMODE((found / program / program).stat().st_mode) == 0o555
    assert layer.check() == {}


def test_b6_the_same_programs_are_copied_once_and_the_set_that_was_named_last_is_the_newest(
    files: dict[str, str], layer: Tools
) -> None:
    first = layer.take(files)
    inode = (layer.root / first).stat().st_ino
    assert layer.take(files) == first
    assert (layer.root / first).stat().st_ino == inode
    Path(files["etcd/etcd"]).write_text("newer\n")
    second = layer.take(files)
    os.utime(layer.manifest(first), (time.time() - DAY,) * 2)
    assert layer.newest() == layer.root / second
    Path(files["etcd/etcd"]).write_text("etcd: etcd\n")
    os.utime(layer.manifest(second), (time.time() - DAY,) * 2)
    assert layer.take(files) == first
    assert layer.newest() == layer.root / first
    os.utime(layer.manifest(second), (time.time() - 15 * DAY,) * 2)
    assert layer.forget([first]) == [second]


def test_b6_what_a_killed_copy_left_does_not_count(files: dict[str, str], layer: Tools) -> None:
    name = layer.take(files)
    layer.manifest(name).unlink()
    assert layer.newest() is None
    (layer.root / name / "etcd" / "etcd").chmod(0o755)
    (layer.root / name / "etcd" / "etcd").write_text("half")
    assert layer.take(files) == name
    assert (layer.root / name / "etcd" / "etcd").read_text() == "etcd: etcd\n"


def test_b6_a_missing_program_and_a_place_elsewhere_are_refused(files: dict[str, str], layer: Tools) -> None:
    with pytest.raises(BaseLayerError, match=r"is no place in a set of tools"):
        layer.take({"../environments/x": files["etcd/etcd"]})
    Path(files["etcd/etcd"]).unlink()
    with pytest.raises(BaseLayerError, match=r"etcd cannot be read: scripts/up makes the tools"):
        layer.take(files)
    assert layer.newest() is None
