"""The raw data comes out byte for byte as git tracks it."""

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from digits import dataset, seed
from digits.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_the_bytes_are_those_that_dvc_tracks(raw: Path) -> None:
    contents = {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    (tracked,) = yaml.safe_load((ROOT / "ml/data/digits.dvc").read_text())["outs"]
    assert len(contents) == tracked["nfiles"] == 1798
    assert sum(map(len, contents.values())) == tracked["size"]
    assert seed.fits(seed.listing(contents), tracked["md5"])


def test_images_and_labels_are_those_of_uci(raw: Path) -> None:
    digits = load_digits()
    rows = (raw / "labels.csv").read_text().splitlines()
    assert rows[0] == "file,label"
    for index in (0, 1000, 1796):
        name, label = rows[index + 1].split(",")
        assert int(label) == digits.target[index]
        assert np.array_equal(np.rint(np.array(Image.open(raw / name)) / 255 * 16), digits.images[index])


def test_the_encoder_writes_what_others_read() -> None:
    image = np.arange(15, dtype=np.uint8).reshape(3, 5)
    decoded = Image.open(io.BytesIO(dataset.encode_png(image)))
    decoded.verify()  # the checksums
    assert np.array_equal(np.array(Image.open(io.BytesIO(dataset.encode_png(image)))), image)


def test_the_encoder_refuses_what_does_not_fit_a_block() -> None:
    with pytest.raises(ValueError, match="300x300 pixels do not fit"):
        dataset.encode_png(np.zeros((300, 300), np.uint8))


def test_a_full_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(UserError, match="not empty"):
        dataset.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
