"""The example's clusters with accounts of their own."""

import re
import shutil
from pathlib import Path

import pytest

from example import ACCOUNT, EXAMPLE

DEV, PROD = "222222222222", "333333333333"


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A checkout where dev and prod have accounts of their own."""
    shutil.copytree(EXAMPLE / "clusters", tmp_path / "clusters")
    for name, number in (("dev", DEV), ("prod", PROD)):
        path = tmp_path / "clusters" / name / "cluster.yaml"
        path.write_text(re.sub(ACCOUNT, number, path.read_text()))
    return tmp_path
