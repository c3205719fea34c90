"""The test set that git names is the one that the raw data give."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from digits import prepare, seed, test_set
from settings import ROOT


def test_s5_it_is_made_again_byte_for_byte(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "test.safetensors"
    assert test_set.write(raw, out) == 526
    md5 = hashlib.md5(out.read_bytes(), usedforsecurity=False).hexdigest()
    assert seed.tracked(ROOT / "ml", seed.TEST_POINTER) == md5 == seed.TEST_DEMO
    assert len(prepare.Examples.load(out)) == 526


def test_data_that_was_not_pulled_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "digits.test_set", str(tmp_path / "none"), str(tmp_path / "out")]
    paths = f"{ROOT / 'ml/src'}:{ROOT / 'src'}"
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": paths})
    assert done.returncode == 2
    assert "labels.csv: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.tools
def test_s5_it_is_seeded_into_a_remote_of_its_own(object_store: object, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in object_store.variables.items():  # type: ignore[attr-defined]
        monkeypatch.setenv(name, value)
    assert seed.seed_test_set(ROOT / "ml") == "uploaded the test set to s3://ml-data/test"
    assert seed.seed_test_set(ROOT / "ml") == "s3://ml-data/test holds the test set already"
    remote = seed.connect(ROOT / "ml", "test")
    remote.write(seed.TEST_DEMO, b"damaged")
    assert seed.seed_test_set(ROOT / "ml") == "uploaded the test set to s3://ml-data/test"
    assert seed.fits(remote.read(seed.TEST_DEMO), seed.TEST_DEMO)
    assert list(seed.connect(ROOT / "ml").tags()) == []
