"""A held-out image is one that training never sees, and the same one every time."""

import io

import numpy as np
import pytest
from PIL import Image

from digits import dataset, held_out, params, prepare
from digits.errors import UserError
from settings import ROOT

SETTINGS = params.load(ROOT / "ml" / "params.yaml").prepare


def test_the_image_is_of_the_test_set_and_not_of_the_training_set(tmp_path_factory: pytest.TempPathFactory) -> None:
    raw = tmp_path_factory.mktemp("raw") / "digits"
    dataset.write(raw)
    examples = prepare.read(raw)
    training, _ = prepare.split(examples, SETTINGS)
    _, test = prepare.held_out(examples)
    png, label = held_out.held_out(5)
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert (pixels == test.images[5]).all()
    assert label == test.labels[5]
    assert not any((pixels == image).all() for image in training.images)


def test_it_is_the_same_bytes_every_time() -> None:
    assert held_out.held_out(0) == held_out.held_out(0)


@pytest.mark.parametrize("number", [-1, 100_000])
def test_a_number_outside_the_test_set_is_refused_with_the_range(number: int) -> None:
    with pytest.raises(UserError, match="choose 0 to 5"):
        held_out.held_out(number)
