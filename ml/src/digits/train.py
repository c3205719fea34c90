"""Stage `train`: fit the network, write its weights, its ONNX export and the curves."""

from digits import reproducible  # isort: skip - must come before torch

import argparse
import csv
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional

from digits import export, model, params
from digits.errors import UserError, run
from digits.prepare import Examples


@dataclass(frozen=True)
class Epoch:
    """One row of the curves: mean cross-entropy and share of correct answers, on either set."""

    epoch: int
    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float


def train(training: Examples, validation: Examples, settings: params.Train) -> tuple[nn.Module, list[Epoch]]:
    """Fit a network on `training` and return it with its curves.

    The validation set only draws its curve; nothing is chosen by it.

    Raises:
        UserError: the loss became infinite or not a number.
    """
    device = reproducible.start(settings.seed)
    random = torch.Generator().manual_seed(settings.seed)  # on the CPU: the same batches on every device
    network = model.build(settings).to(device)
    images, labels = _tensors(training, device)
    batches = -(-len(training) // settings.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=settings.epochs * batches
    )
    curves = []
    for epoch in range(1, settings.epochs + 1):
        network.train()
        total, correct = 0.0, 0
        order = torch.randperm(len(training), generator=random).to(device)
        for index in torch.split(order, settings.batch_size):
            logits = network(_shift(images[index], settings.shift, random))
            loss = functional.cross_entropy(logits, labels[index])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
            correct += int((logits.argmax(1) == labels[index]).sum())
        if not torch.isfinite(torch.tensor(total)):
            raise UserError(
                f"{params.PARAMS_FILE}: train.learning_rate: {settings.learning_rate} makes the loss diverge in epoch "
                f"{epoch}; try a tenth of it"
            )
        validation_loss, validation_accuracy = score(network, validation, device)
        accuracy = correct / len(training)
        curves.append(Epoch(epoch, total / len(training), validation_loss, accuracy, validation_accuracy))
    return network.cpu().eval(), curves


@torch.no_grad()
def score(network: nn.Module, examples: Examples, device: torch.device) -> tuple[float, float]:
    """Return (mean cross-entropy, share of correct answers) of a network, which is left in evaluation mode."""
    images, labels = _tensors(examples, device)
    logits = network.eval()(images)
    return functional.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()


def _tensors(examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(examples.images).to(device), torch.from_numpy(examples.labels).long().to(device)


def _shift(images: Tensor, distance: int, random: torch.Generator) -> Tensor:
    """Move each image (n, height, width) by its own random offset of up to `distance` pixels, filling with paper."""
    count, height, width = images.shape
    padded = functional.pad(images, (distance,) * 4)
    offsets = torch.randint(0, 2 * distance + 1, (2, count), generator=random).to(images.device)
    rows = offsets[0, :, None] + torch.arange(height, device=images.device)
    columns = offsets[1, :, None] + torch.arange(width, device=images.device)
    image = torch.arange(count, device=images.device)
    return padded[image[:, None, None], rows[:, :, None], columns[:, None, :]]


def write_curves(curves: list[Epoch], path: Path) -> None:
    """Write the curves as CSV, one row an epoch, six decimals."""
    with path.open("w", newline="", encoding="ascii") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow([field.name for field in fields(Epoch)])
        for row in curves:
            table.writerow([row.epoch, *(f"{value:.6f}" for value in astuple(row)[1:])])


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the network.")
    parser.add_argument("data", type=Path, help="directory with train.safetensors and validation.safetensors")
    parser.add_argument("model", type=Path, help="directory for model.safetensors and model.onnx")
    parser.add_argument("curves", type=Path, help="CSV file for loss and accuracy by epoch")
    arguments = parser.parse_args()
    settings = params.load().train
    training, validation = (Examples.load(arguments.data / f"{name}.safetensors") for name in ("train", "validation"))
    begin = perf_counter()
    network, curves = train(training, validation, settings)
    for directory in (arguments.model, arguments.curves.parent):
        directory.mkdir(parents=True, exist_ok=True)
    export.save_weights(network, arguments.model / "model.safetensors")
    export.save_onnx(network, arguments.model / "model.onnx")
    write_curves(curves, arguments.curves)
    last = curves[-1]
    print(f"{last.epoch} epochs in {perf_counter() - begin:.1f} s: validation accuracy {last.validation_accuracy:.4f}")


if __name__ == "__main__":
    run(main)
