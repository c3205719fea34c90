"""Every refusal of a parameter file names file, key and fix; `fixtures/params` has one file for each."""

import subprocess
import sys
from pathlib import Path

import pytest

from digits import params
from digits.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
INVALID = sorted(Path(__file__).with_name("fixtures").glob("params/*.yaml"))


def test_the_shipped_file_is_valid() -> None:
    assert params.load(ROOT / "ml" / "params.yaml").train.channels == 16


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_refuses(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(UserError) as error:
        params.load(path)
    assert str(error.value).startswith(f"{path}: {expected}")
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.yaml: cannot be read .*git checkout"):
        params.load(tmp_path / "none.yaml")


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError, match=r"epoch: unknown.*; .*evaluate: missing"):
        params.parse(INVALID[0].with_name("unknown-key.yaml").read_text().replace("evaluate", "eval"), "params.yaml")


def test_the_command_ends_with_one_line_and_status_2() -> None:
    path = INVALID[0].with_name("unknown-key.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "digits.params", path], capture_output=True, text=True, cwd=ROOT / "ml" / "src"
    )
    assert done.returncode == 2
    assert done.stderr == f"error: {path}: train.epoch: unknown key; did you mean 'epochs'?\n"


def test_values_keep_their_type() -> None:
    text = (ROOT / "ml" / "params.yaml").read_text().replace("learning_rate: 0.01", "learning_rate: 1")
    assert isinstance(params.parse(text, "params.yaml").train.learning_rate, float)
