"""The record holds what was before the change, whatever runs later."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def record(library: Callable[[str], ModuleType]) -> ModuleType:
    return library("host_record")


def test_only_missing_paths_are_recorded_as_created(record: ModuleType, tmp_path: Path) -> None:
    new, old = str(tmp_path / "new"), str(tmp_path)
    made = record.merged({}, "/srv/state", "local", [new, old], {"kernel.panic": "1"})
    assert made["created"] == [new]
    assert made["kernel_parameters"] == {"kernel.panic": "1"}


def test_what_was_recorded_first_stays(record: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "made-by-the-platform"
    first = record.merged({}, "/srv/state", "local", [str(path)], {"kernel.panic": "1"})
    path.mkdir()
    again = record.merged(first, "/srv/state", "local", [str(path)], {"kernel.panic": "10"})
    assert again == first


def test_a_path_that_was_there_before_never_becomes_ours(record: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.mkdir()
    first = record.merged({}, "/srv/state", "local", [str(path)], {})
    path.rmdir()
    assert record.merged(first, "/srv/state", "local", [str(path)], {})["created"] == []


def test_a_parameter_added_by_a_newer_checkout_is_recorded_too(record: ModuleType) -> None:
    first = record.merged({}, "/srv/state", "local", [], {"kernel.panic": "1"})
    later = record.merged(first, "/srv/state", "local", [], {"kernel.panic": "10", "vm.panic_on_oom": "0"})
    assert later["kernel_parameters"] == {"kernel.panic": "1", "vm.panic_on_oom": "0"}
