"""Stage `prepare`: split the raw images into a training and a validation set, each one safetensors file.

The images of main's test set are left out. Which these are follows from the pixels alone
(`mlplatform.evaluation.split`), so no parameter, order or further image moves one of them between the sets.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from digits import params
from digits.errors import UserError, run
from digits.picture import PictureError, decode, to_pixels
from mlplatform.evaluation import rows
from mlplatform.evaluation.split import belongs

CLASSES = 10
TEST_SHARE = 0.3
"""`test_set.share` of `evaluation.yaml`."""
RESTORE = "restore it with `dvc pull data/digits.dvc`"


@dataclass(frozen=True)
class Examples:
    """Images, uint8 of shape (n, 8, 8) with 255 for ink, and their labels, uint8 of shape (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Examples":
        return Examples(self.images[index], self.labels[index])

    def save(self, path: Path) -> None:
        save_file({"images": self.images, "labels": self.labels}, path)

    @classmethod
    def load(cls, path: Path) -> "Examples":
        """Read what `save` wrote. Raises `UserError` where the file is missing or damaged."""
        try:
            return cls(**load_file(path))
        except Exception as error:  # safetensors raises its own error and OSError
            raise UserError(f"{path}: cannot be read ({error}); run `dvc repro prepare`") from None


def read(directory: Path) -> Examples:
    """Read the raw data: the images that `labels.csv` names, in its order.

    Raises:
        UserError: a file is missing, an image is corrupt, or a row of the table is wrong.
    """
    table = directory / "labels.csv"
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read ({error}); {RESTORE}") from None
    if reader.fieldnames != ["file", "label"]:
        raise UserError(f"{table}: line 1: the columns must be file,label, not {','.join(reader.fieldnames or [])}")
    if not rows:
        raise UserError(f"{table}: has no images; {RESTORE}")
    images, labels, seen = [], [], set[str]()
    for line, row in enumerate(rows, start=2):
        name, label = row["file"], row["label"]
        if label not in {str(digit) for digit in range(CLASSES)}:
            raise UserError(f"{table}: line {line}: label must be a digit 0 to 9, not {label!r}")
        if name in seen:
            raise UserError(f"{table}: line {line}: file {name!r} is listed twice; remove one of the rows")
        seen.add(name)
        path = directory / name
        try:
            images.append(to_pixels(decode(path.read_bytes())))
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error}); {RESTORE}, or remove line {line} of {table}") from None
        except PictureError as error:
            raise UserError(f"{path}: {error}; {RESTORE}, or remove line {line} of {table}") from None
        labels.append(int(label))
    return Examples(np.stack(images), np.array(labels, np.uint8))


def held_out(examples: Examples) -> tuple[Examples, Examples]:
    """Take main's test set out; return (the others, test set), each in the order of the raw data."""
    entries = rows.rows({"images": examples.images, "labels": examples.labels}, ["images"])
    for_test = np.array([belongs(entry.input, TEST_SHARE) for entry in entries], bool)
    return examples.take(np.flatnonzero(~for_test)), examples.take(np.flatnonzero(for_test))


def split(examples: Examples, settings: params.Prepare) -> tuple[Examples, Examples]:
    """Keep the same share of every class for validation; return (training, validation) in the order of the raw data.

    Raises:
        UserError: a class has too few images for both sets.
    """
    examples, _ = held_out(examples)
    random = np.random.default_rng(settings.seed)
    kept = np.zeros(len(examples), bool)
    for digit in range(CLASSES):
        members = np.flatnonzero(examples.labels == digit)
        count = round(len(members) * settings.validation_fraction)
        if not 0 < count < len(members):
            raise UserError(
                f"digit {digit} has {len(members)} images besides the test set; add images, or change "
                "prepare.validation_fraction"
            )
        kept[random.permutation(members)[:count]] = True
    return examples.take(np.flatnonzero(~kept)), examples.take(np.flatnonzero(kept))


def main() -> None:
    parser = argparse.ArgumentParser(description="Split the raw images into a training and a validation set.")
    parser.add_argument("raw", type=Path, help="directory with labels.csv and the images")
    parser.add_argument("out", type=Path, help="directory for train.safetensors and validation.safetensors")
    arguments = parser.parse_args()
    training, validation = split(read(arguments.raw), params.load().prepare)
    arguments.out.mkdir(parents=True, exist_ok=True)
    training.save(arguments.out / "train.safetensors")
    validation.save(arguments.out / "validation.safetensors")
    print(f"{len(training)} training and {len(validation)} validation images")


if __name__ == "__main__":
    run(main)
