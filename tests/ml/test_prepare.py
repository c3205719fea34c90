"""The raw data becomes two sets, always the same ones, or is refused with file, line and fix."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digits import params, prepare
from digits.errors import UserError
from digits.prepare import Examples
from mlplatform.evaluation import declaration
from settings import ROOT

SETTINGS = params.Prepare(seed=20, validation_fraction=0.3)


@pytest.fixture
def small(raw: Path, tmp_path: Path) -> Path:
    """The first 30 images, to be broken."""
    directory = tmp_path / "digits"
    (directory / "images").mkdir(parents=True)
    rows = (raw / "labels.csv").read_text().splitlines()[:31]
    (directory / "labels.csv").write_text("\n".join(rows) + "\n")
    for row in rows[1:]:
        name = row.partition(",")[0]
        shutil.copy(raw / name, directory / name)
    return directory


def edit(directory: Path, before: str, after: str) -> None:
    table = directory / "labels.csv"
    text = table.read_text()
    assert before in text
    table.write_text(text.replace(before, after))


def test_every_class_gives_the_same_share(sets: tuple[Examples, Examples]) -> None:
    training, validation = sets
    assert (len(training), len(validation)) == (1082, 189)
    for digit in range(10):
        kept, others = (int((examples.labels == digit).sum()) for examples in (validation, training))
        assert kept == round(0.15 * (kept + others))


def test_the_sets_share_no_image_and_lose_none() -> None:
    examples = Examples(
        np.arange(640, dtype=np.uint16).astype(np.uint8).reshape(10, 8, 8).repeat(10, 0),
        np.arange(100, dtype=np.uint8) % 10,
    )
    numbered = Examples(np.arange(100, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2), examples.labels)
    training, validation = prepare.split(numbered, SETTINGS)
    _, test = prepare.held_out(numbered)
    every = np.concatenate([training.images, validation.images, test.images])[:, 0, 0]
    assert sorted(every) == list(range(100))
    assert 15 < len(test) < 45


def test_s5_no_seed_share_or_order_moves_an_image_out_of_the_test_set(raw: Path) -> None:
    examples = prepare.read(raw)
    _, test = prepare.held_out(examples)
    held_out = {image.tobytes() for image in test.images}
    shuffled = examples.take(np.random.default_rng(1).permutation(len(examples)))
    assert {image.tobytes() for image in prepare.held_out(shuffled)[1].images} == held_out
    for settings in (SETTINGS, params.Prepare(seed=99, validation_fraction=0.5)):
        for images in prepare.split(shuffled, settings):
            assert not held_out & {image.tobytes() for image in images.images}


def test_s5_the_test_set_is_what_the_declaration_says() -> None:
    assert declaration.load(ROOT / "ml").test_set.share == prepare.TEST_SHARE


def test_the_seed_chooses_the_images(raw: Path) -> None:
    examples = prepare.read(raw)
    first, again = (prepare.split(examples, SETTINGS)[1] for _ in range(2))
    other = prepare.split(examples, params.Prepare(seed=21, validation_fraction=0.3))[1]
    assert np.array_equal(again.images, first.images)
    assert not np.array_equal(other.images, first.images)


def test_a_class_with_one_image_is_refused(small: Path) -> None:
    edit(small, "images/0000.png,0\n", "")
    edit(small, "images/0010.png,0\n", "")
    with pytest.raises(
        UserError, match=r"digit 0 has 1 images besides the test set; add images, or change prepare.validation_fraction"
    ):
        prepare.split(prepare.read(small), SETTINGS)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("file,label", "name,label", r"labels.csv: line 1: the columns must be file,label, not name,label"),
        ("0003.png,3", "0003.png,three", r"labels.csv: line 5: label must be a digit 0 to 9, not 'three'"),
        ("0003.png,3", "0003.png,10", r"labels.csv: line 5: label must be a digit 0 to 9, not '10'"),
        ("0003.png,3", "0003.png", r"labels.csv: line 5: label must be a digit 0 to 9, not None"),
        ("images/0003", "images/0002", r"labels.csv: line 5: file 'images/0002.png' is listed twice"),
        ("images/0003", "images/none", r"none.png: cannot be read .*`dvc pull data/digits.dvc`, or remove line 5 of"),
    ],
)
def test_a_wrong_row_is_refused(small: Path, before: str, after: str, message: str) -> None:
    edit(small, before, after)
    with pytest.raises(UserError, match=message):
        prepare.read(small)


def test_a_corrupt_image_is_refused(small: Path) -> None:
    (small / "images" / "0003.png").write_bytes(b"oops")
    with pytest.raises(
        UserError, match=r"0003.png: not a PNG image; .*`dvc pull data/digits.dvc`, or remove line 5 of"
    ):
        prepare.read(small)


def test_data_that_was_not_pulled_is_refused_with_the_command_that_pulls_it(tmp_path: Path) -> None:
    src = Path(prepare.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "digits.prepare", tmp_path / "none", tmp_path / "out"],
        capture_output=True,
        text=True,
        cwd=src,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 2
    assert "none/labels.csv: cannot be read" in done.stderr
    assert "`dvc pull data/digits.dvc`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_damaged_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.safetensors").write_bytes(b"oops")
    with pytest.raises(UserError, match=r"test.safetensors: cannot be read .*; run `dvc repro prepare`"):
        Examples.load(tmp_path / "test.safetensors")
