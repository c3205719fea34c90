"""The file that pins an environment: written one way, and read only where it was written that way."""

import pytest
import yaml

from mlplatform import pin
from mlplatform.pin import Pin, PinError

A, B = (f"sha256:{letter * 64}" for letter in "ab")
REVISION = "0123456789abcdef0123456789abcdef01234567"
IMAGES = [{}, {"churn": A}, {"quay.io/x/cache": B, "churn-worker": B, "churn": A}]
PINS = [Pin(REVISION, images) for images in IMAGES]


@pytest.mark.parametrize("pinned", PINS)
def test_what_is_written_is_read(pinned: Pin) -> None:
    assert pin.parse(pinned.document()) == pinned
    assert yaml.safe_load(pinned.document()) == {"revision": REVISION, "images": dict(pinned.images)}


WRITTEN = Pin(REVISION, {"churn": A, "worker": B}).document().decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"revision: {REVISION}\nimages: {{}}\n",
        WRITTEN.replace(REVISION, "main"),
        WRITTEN.replace(REVISION, REVISION[:10]),
        WRITTEN.replace(A, "sha256:abc"),
        WRITTEN.replace(A, f"'{A}'"),
        WRITTEN.replace("churn", "worker"),
        WRITTEN.replace("churn", "x"),
        WRITTEN.replace("churn", "Churn"),
        WRITTEN.replace('"churn"', "churn"),
        WRITTEN.replace('  "churn', '   "churn'),
        WRITTEN.replace("\n", "\r\n"),
        WRITTEN + f'  "zebra": {A}',
        WRITTEN + "server: https://evil.test\n",
        f"# Ours.\n{WRITTEN}",
        "\ufeff" + WRITTEN,
    ],
)
def test_anything_else_is_no_pin(text: str) -> None:
    with pytest.raises(PinError, match="let scripts/promote write it"):
        pin.parse(text.encode())


def test_bytes_that_are_no_text_are_no_pin() -> None:
    with pytest.raises(PinError):
        pin.parse(WRITTEN.encode() + b"\xff")


def test_what_is_too_long_is_not_searched() -> None:
    with pytest.raises(PinError, match="bytes are more than"):
        pin.parse(Pin(REVISION, {f"churn-{number}": A for number in range(1000)}).document())


@pytest.mark.parametrize("value", ["0" * 40, "123e4567" * 5, "1" * 40])
def test_a_commit_and_a_name_of_digits_are_texts(value: str) -> None:
    read = yaml.safe_load(Pin(value, {"8": A, "1e3": B}).document())
    assert read == {"revision": value, "images": {"8": A, "1e3": B}}


def test_it_lies_in_the_overlay() -> None:
    assert pin.path("churn", "prod") == "apps/churn/overlays/prod/release.yaml"
