"""A disk that fills up is said in time, and one that is full is no "ok"."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import disk, doctor, status
from cli.disk import Room
from settings import Cluster, Paths

GIB = 2**30


@pytest.mark.parametrize(
    ("free", "free_inodes", "ok", "warns"),
    [
        (40 * GIB, 900, True, False),
        (12 * GIB, 900, True, False),
        (12 * GIB - 1, 900, True, True),
        (4 * GIB, 900, True, True),
        (4 * GIB - 1, 900, False, False),
        (0, 900, False, False),
        (40 * GIB, 79, True, True),
        (40 * GIB, 29, False, False),
        (40 * GIB, 0, False, False),
    ],
)
def test_s7_a_disk_is_low_before_it_is_full(free: int, free_inodes: int, ok: bool, warns: bool) -> None:
    check = disk.judge(["state", "cache"], Path("/data"), Room(100 * GIB, free, 1000, free_inodes))
    assert check.ok is ok
    assert check.name == "disk of state, cache"
    assert f"{free / GIB:.1f} of 100 GiB free" in check.detail
    assert bool(check.fix) is (warns or not ok)


def test_a_file_system_without_a_number_of_inodes_has_enough() -> None:
    assert disk.judge(["state"], Path("/data"), Room(100 * GIB, 50 * GIB, 0, 0)).detail == "/data: 50.0 of 100 GiB free"


def test_each_file_system_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    places = {"state": tmp_path, "cache": tmp_path / "cache", "later": tmp_path / "none", "processes": Path("/proc")}
    found = disk.checks(places, lambda path: Room(GIB, 0, 0, 0))
    assert [check.name for check in found] == ["disk of state, cache", "disk of processes"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    held = Paths(state=tmp_path / "state", cache=tmp_path / "cache")
    for path in (held.state, held.cache):
        path.mkdir()
    return held


def test_s7_a_full_disk_fails_doctor_and_status(
    paths: Paths, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"total": 100 * GIB, "used": 100 * GIB, "free": 0})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    for checks in (doctor.prerequisites(paths), status.read(cluster, paths).checks):
        [found] = [check for check in checks if check.name.startswith("disk")]
        assert not found.ok
        assert "0.0 of 100 GiB free" in found.detail
        assert "free some" in found.fix


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system a little over 4 GiB, which takes memory for what is written only."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4100m", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this container may not mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_s7_a_real_disk_goes_from_low_to_full(small: Path) -> None:
    [low] = disk.checks({"state": small})
    assert (low.ok, bool(low.fix)) == (True, True)
    with (small / "filling").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 8 * 2**20)
    [full] = disk.checks({"state": small})
    assert not full.ok
