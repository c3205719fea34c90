"""One way from an image to the pixels that the model takes, shared by training and serving.

The model sees 8x8 bytes, 0 for paper and 255 for ink, the digit filling the square. An 8x8 image is taken as it is;
any other size is brought to that form.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from digits.errors import UserError

SIZE = 8
MAX_BYTES = 4 * 1024 * 1024
MAX_SIDE = 4096
INK_THRESHOLD = 32
"""Brightness above which a pixel counts as ink when the digit's bounding box is sought."""


class PictureError(UserError):
    """Bytes that are not a usable PNG image. The message says what is wrong and what would work."""


def decode(content: bytes) -> Image.Image:
    """Decode a PNG completely, so that a truncated file is found here and not later.

    Raises:
        PictureError: not a PNG, truncated or corrupt, or larger than 4 MiB or 4096x4096 pixels.
    """
    if len(content) > MAX_BYTES:
        raise PictureError(f"the image has {len(content)} bytes; send a PNG of {MAX_BYTES} bytes at most")
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        if max(image.size) > MAX_SIDE:
            width, height = image.size
            raise PictureError(f"the image has {width}x{height} pixels; send one of {MAX_SIDE}x{MAX_SIDE} at most")
        image.load()
    except UnidentifiedImageError:
        raise PictureError("not a PNG image; send a PNG of one digit, such as 8x8 greyscale") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"corrupt PNG image ({error}); send the file again, unbroken") from None
    return image


def to_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return the (8, 8) bytes of one digit.

    An image of another size is turned into greyscale on white paper, inverted where its border is bright, cropped to
    the ink, padded to a square and averaged down. Without any ink it is all zeros.
    """
    if image.size == (SIZE, SIZE):
        return np.asarray(_grey(image), dtype=np.uint8)
    grey = np.asarray(_grey(image), dtype=np.uint8)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(border) > 127:
        grey = 255 - grey
    rows, columns = np.nonzero(grey > INK_THRESHOLD)
    if rows.size == 0:
        return np.zeros((SIZE, SIZE), np.uint8)
    ink = grey[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = max(ink.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - ink.shape[0]) // 2, (side - ink.shape[1]) // 2
    square[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return np.asarray(Image.fromarray(square).resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.uint8)


def _grey(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    return image.convert("L")
