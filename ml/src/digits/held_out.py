"""Write one image that training never sees, as a client would send it, and print its label."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from digits import dataset, prepare
from digits.errors import UserError, run


def held_out(number: int) -> tuple[bytes, int]:
    """The PNG and the label of the test set's image `number`, counted from 0 in the order of the raw data.

    Raises:
        UserError: the test set has no such image.
    """
    with TemporaryDirectory() as scratch:
        raw = Path(scratch, "digits")
        dataset.write(raw)
        _, test = prepare.held_out(prepare.read(raw))
    if not 0 <= number < len(test):
        raise UserError(f"number {number} is not in the test set; choose 0 to {len(test) - 1}")
    return dataset.encode_png(test.images[number]), int(test.labels[number])


def main() -> None:
    parser = argparse.ArgumentParser(description="Write one held-out image and print its label.")
    parser.add_argument("--number", type=int, default=0, help="which image of the test set")
    parser.add_argument("--out", type=Path, required=True, help="the PNG file to write")
    arguments = parser.parse_args()
    png, label = held_out(arguments.number)
    arguments.out.write_bytes(png)
    print(label)


if __name__ == "__main__":
    run(main)
