"""This repository's clusters with accounts of their own."""

import re
import shutil
from pathlib import Path

import pytest

from settings import ROOT

ONE, DEV, PROD = "123456789012", "222222222222", "333333333333"


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """A checkout where dev and prod have accounts of their own."""
    for name in ("shared", "dev", "staging", "prod"):
        shutil.copytree(ROOT / "clusters" / name, tmp_path / "clusters" / name)
    for name, number in (("dev", DEV), ("prod", PROD)):
        path = tmp_path / "clusters" / name / "cluster.yaml"
        path.write_text(re.sub(ONE, number, path.read_text()))
    return tmp_path
