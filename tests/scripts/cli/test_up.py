"""What `scripts/up` does depends on what the checkout still has."""

from pathlib import Path
from typing import cast

import pytest

from cli import up
from cli.steps import Context
from settings import Paths, load_local


def test_d8_a_checkout_without_the_demos_program_is_seeded_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = up.Setup(load_local("local"), Paths(tmp_path / "state", tmp_path / "cache"))
    assert setup.seeds
    monkeypatch.setattr(up, "ROOT", tmp_path)
    untouched = cast("Context", None)  # a step that ran a command would fail
    assert not setup.seeds
    assert setup._data_environment(untouched) == "not needed"
    assert setup._data(untouched) == "the demo's program is gone: nothing to seed"
    assert list(tmp_path.iterdir()) == []
