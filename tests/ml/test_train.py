"""Training is reproducible to the byte on one machine, learns, and stops when the loss diverges."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from digits import params, train
from digits.errors import UserError
from digits.prepare import Examples
from settings import ROOT

SRC = Path(train.__file__).parents[1]
PARAMS = """
prepare: {{seed: 20, validation_fraction: 0.3}}
train: {{seed: {seed}, epochs: 1, batch_size: 64, learning_rate: 0.01, channels: 4, dropout: 0.2, shift: 1}}
evaluate: {{parity_tolerance: 0.0001}}
gate: {{tolerance: 0.005}}
"""


@pytest.fixture(scope="module")
def data(sets: tuple[Examples, Examples], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prepared")
    for name, examples in zip(("train", "validation"), sets, strict=True):
        examples.take(np.arange(0, len(examples), 4)).save(directory / f"{name}.safetensors")
    return directory


def outputs(data: Path, folder: Path, seed: int, **environment: str) -> dict[str, str]:
    """Run the stage in a process of its own; return the hash of each file it writes."""
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS.format(seed=seed))
    variables = {
        **os.environ,
        "PYTHONPATH": f"{SRC}{os.pathsep}{ROOT / 'src'}",
        "CUDA_VISIBLE_DEVICES": "",
        **environment,
    }
    command = [sys.executable, "-m", "digits.train", data, "model", "plots/curves.csv"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "params.yaml"]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def first(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return outputs(data, tmp_path_factory.mktemp("train") / "first", 7)


def test_two_runs_write_the_same_bytes(data: Path, first: dict[str, str], tmp_path: Path) -> None:
    assert set(first) == {"model/model.onnx", "model/model.safetensors", "plots/curves.csv"}
    assert outputs(data, tmp_path / "second", 7, OMP_NUM_THREADS="3", PYTHONHASHSEED="5") == first


def test_another_seed_gives_another_model(data: Path, first: dict[str, str], tmp_path: Path) -> None:
    other = outputs(data, tmp_path / "other", 8)
    assert all(other[name] != first[name] for name in first)


def test_the_shipped_parameters_learn(sets: tuple[Examples, Examples], settings: params.Params) -> None:
    network, curves = train.train(*sets, settings.train)
    assert [row.epoch for row in curves] == list(range(1, settings.train.epochs + 1))
    assert curves[-1].validation_accuracy >= 0.97
    assert curves[-1].train_loss < curves[0].train_loss
    assert not network.training
    assert train.score(network, sets[1], torch.device("cpu"))[1] == pytest.approx(curves[-1].validation_accuracy)


def test_a_loss_that_is_no_number_is_refused_with_the_key(
    sets: tuple[Examples, Examples], settings: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No parameter that the file allows makes this data diverge, so the loss is spoilt where it is computed.
    monkeypatch.setattr(train.functional, "cross_entropy", lambda logits, _: logits.sum() * float("nan"))
    with pytest.raises(UserError, match=r"params.yaml: train.learning_rate: 0.01 makes the loss diverge in epoch 1"):
        train.train(*sets, settings.train)


def test_images_move_within_the_distance_and_lose_only_what_leaves() -> None:
    images = torch.zeros((200, 8, 8), dtype=torch.uint8)
    images[:, 4, 4] = 255
    moved = train._shift(images, 2, torch.Generator().manual_seed(1))
    places = {(int(row), int(column)) for _, row, column in torch.nonzero(moved)}
    assert places == {(row, column) for row in range(2, 7) for column in range(2, 7)}
    assert torch.equal(train._shift(images, 0, torch.Generator()), images)


def test_curves_are_plain_csv(tmp_path: Path) -> None:
    train.write_curves([train.Epoch(1, 0.5, 1 / 3, 0.25, 1.0)], tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text() == (
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy\n1,0.500000,0.333333,0.250000,1.000000\n"
    )
