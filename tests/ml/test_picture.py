"""Any usable PNG of a digit becomes the pixels that the model knows; anything else is refused with the reason."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from digits.picture import PictureError, decode, to_pixels


@pytest.fixture
def three(raw: Path) -> Image.Image:
    return decode((raw / "images" / "0003.png").read_bytes())


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def test_an_8x8_image_is_taken_as_it_is(three: Image.Image) -> None:
    assert np.array_equal(to_pixels(three), np.array(three))
    assert to_pixels(three.convert("RGB")).tolist() == np.array(three).tolist()


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_a_larger_image_comes_down_to_the_same_digit(three: Image.Image, mode: str) -> None:
    # 6x8 pixels of ink, which fill the square after cropping and padding.
    large = ImageOps.expand(three.resize((160, 160), Image.Resampling.NEAREST), border=40, fill=0).convert(mode)
    dark = np.array(three) > 127
    assert np.corrcoef((to_pixels(large) > 127).ravel(), dark.ravel())[0, 1] > 0.5


def test_black_ink_on_white_paper_is_inverted(three: Image.Image) -> None:
    large = ImageOps.expand(three.resize((160, 160), Image.Resampling.NEAREST), border=40, fill=0)
    assert np.array_equal(to_pixels(ImageOps.invert(large)), to_pixels(large))


def test_transparent_paper_is_white(three: Image.Image) -> None:
    large = ImageOps.expand(three.resize((160, 160), Image.Resampling.NEAREST), border=40, fill=0)
    ink = Image.new("RGBA", large.size, "black")
    ink.putalpha(large)
    assert np.array_equal(to_pixels(ink), to_pixels(large))


def test_the_place_in_the_image_does_not_matter(three: Image.Image) -> None:
    digit = three.resize((80, 80), Image.Resampling.NEAREST)
    sheets = [Image.new("L", (400, 300)), Image.new("L", (400, 300))]
    sheets[0].paste(digit, (10, 10))
    sheets[1].paste(digit, (250, 200))
    assert np.array_equal(to_pixels(sheets[0]), to_pixels(sheets[1]))


@pytest.mark.parametrize("colour", [0, 255])
def test_paper_without_ink_is_empty(colour: int) -> None:
    assert not to_pixels(Image.new("L", (50, 50), colour)).any()


def test_one_bright_pixel_is_scaled_to_a_full_square() -> None:
    image = Image.new("L", (20, 20))
    image.putpixel((3, 4), 255)
    assert (to_pixels(image) == 255).all()


@pytest.mark.parametrize("keep", [8, 33, 60, 120])
def test_a_truncated_file_is_refused(three: Image.Image, keep: int) -> None:
    with pytest.raises(PictureError, match=r"corrupt PNG image|not a PNG image"):
        decode(png(three.resize((64, 64)))[:keep])


def test_damaged_pixels_are_refused(raw: Path) -> None:
    content = bytearray((raw / "images" / "0003.png").read_bytes())
    content[60] ^= 0xFF  # within the image data, whose checksum then fails
    with pytest.raises(PictureError, match="corrupt PNG image"):
        decode(bytes(content))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "signature only"])
def test_what_is_no_png_is_refused(content: bytes) -> None:
    with pytest.raises(PictureError, match="send "):
        decode(content)


def test_another_format_is_refused(three: Image.Image) -> None:
    stream = io.BytesIO()
    three.save(stream, format="JPEG")
    with pytest.raises(PictureError, match="not a PNG image"):
        decode(stream.getvalue())


def test_size_is_limited_before_the_pixels_are_decoded() -> None:
    with pytest.raises(PictureError, match="5000x10 pixels; send one of 4096x4096 at most"):
        decode(png(Image.new("1", (5000, 10))))
    with pytest.raises(PictureError, match="send a PNG of 4194304 bytes at most"):
        decode(b"\0" * (4 * 1024 * 1024 + 1))
