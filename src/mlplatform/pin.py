"""A pin: the release that an environment runs, in a file of its own that promotion and rollback alone change.

The first environment follows main. What another runs is not what main says, but what main said at the pinned commit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlplatform.releases import DIGEST, overlay_folder

FILE = "release.yaml"
# Of a file that anybody may have written.
LIMIT = 64 * 2**10
# As the ApplicationSet `apps` takes them. Quoted, so that no name and no commit of digits alone is read as a number.
NAME = re.compile(r"[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*")
_ENTRY = re.compile(rf'  "({NAME.pattern})": ({DIGEST.pattern})\n')
_DOCUMENT = re.compile(rf'revision: "([0-9a-f]{{40}})"\nimages:(?: {{}}\n|\n((?:{_ENTRY.pattern})+))')


class PinError(ValueError):
    """A file that is no pin; the message says why."""


@dataclass(frozen=True, slots=True)
class Pin:
    """`revision`: the commit of main whose manifests run. `images`: the digest of each image that they name, by its
    name there."""

    revision: str
    images: Mapping[str, str]

    def document(self) -> bytes:
        """The file's content."""
        entries = "".join(f'  "{name}": {digest}\n' for name, digest in sorted(self.images.items()))
        images = f"\n{entries}" if entries else " {}\n"
        return f'revision: "{self.revision}"\nimages:{images}'.encode()


def path(app: str, environment: str) -> str:
    """Where the pin of an app lies, from the repository's root."""
    return f"{overlay_folder(app, environment)}/{FILE}"


def parse(content: bytes) -> Pin:
    """What a file says. Only what `Pin.document` writes is read, so that every reader sees the same in it.

    Raises `PinError`.
    """
    if len(content) > LIMIT:
        raise PinError(f"{len(content)} bytes are more than the {LIMIT} allowed")
    found = _DOCUMENT.fullmatch(content.decode("utf-8", errors="replace"))
    if not found:
        raise PinError("is not as promotion writes it: let scripts/promote write it")
    pin = Pin(found[1], dict(entry.groups() for entry in _ENTRY.finditer(found[2] or "")))  # type: ignore[misc]
    if pin.document() != content:
        raise PinError("names an image twice, or out of order: let scripts/promote write it")
    return pin
