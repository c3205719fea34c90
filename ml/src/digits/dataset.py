"""The raw data: the UCI handwritten digits as PNG files and `labels.csv`, made from scikit-learn's copy.

The 1797 images are 8x8 pixels of 0 to 16, written as 8-bit greyscale (ink is white, paper is black). The same bytes
come out on every machine, so the result can be checked against the hash that DVC tracks.
"""

import argparse
import csv
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from digits.errors import UserError, run

INK_LEVELS = 16


def write(out: Path) -> int:
    """Write `labels.csv` and `images/NNNN.png` into the empty or missing directory `out`; return the number of images.

    Raises:
        UserError: `out` holds files, or cannot be written.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: not empty; name another directory or remove it")
    examples = pictures()
    images = out / "images"
    try:
        images.mkdir(parents=True)
        with (out / "labels.csv").open("w", newline="", encoding="ascii") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["file", "label"])
            for index, (image, label) in enumerate(examples):
                name = f"{index:04d}.png"
                (images / name).write_bytes(image)
                table.writerow([f"images/{name}", label])
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error}); choose a directory that you may write to") from None
    return len(examples)


def pictures() -> list[tuple[bytes, int]]:
    """Every image of the raw data as PNG, with its label, in order."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / INK_LEVELS)).astype(np.uint8)
    return [(encode_png(image), int(label)) for image, label in zip(pixels, digits.target, strict=True)]


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode a greyscale image (height, width) as PNG.

    The pixels are stored, not compressed: zlib and its replacements compress the same bytes differently.
    """
    height, width = image.shape
    rows = b"".join(b"\x00" + row.tobytes() for row in image)
    if len(rows) > 0xFFFF:
        raise ValueError(f"{height}x{width} pixels do not fit one stored block of 65535 bytes")
    stored = b"\x01" + struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF) + rows
    stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the raw handwritten digits.")
    parser.add_argument("--out", type=Path, required=True, help="an empty or missing directory")
    out = parser.parse_args().out
    print(f"{out}: {write(out)} images")


if __name__ == "__main__":
    run(main)
