"""Main's checkout with a project of its own, for the tests that measure."""

from pathlib import Path

import pytest

import toy_project as toy
from mlplatform.evaluation.declaration import Declaration, load


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Main's checkout."""
    root = tmp_path / "main"
    toy.write(root)
    return root


@pytest.fixture
def rules(root: Path) -> Declaration:
    """Main's declaration."""
    return load(root / "ml")
