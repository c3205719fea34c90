"""What was released: a record an image in the models bucket, which only the job that releases may write."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# An app's overlay of an environment that had none, as release writes it.
NEW_OVERLAY = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../base
images:
  - name: {image}
    digest: {digest}
"""


@dataclass(frozen=True, slots=True)
class Release:
    """An image that was made of main. `digest`, `model_digest`: `sha256:<hex>` of the image and of the ONNX file in it;
    `inputs`: the key of all that it is made of; `commit`: main's."""

    app: str
    digest: str
    inputs: str
    model_digest: str
    commit: str

    @property
    def record(self) -> str:
        """The key of the record."""
        return record(self.app, self.digest)

    def document(self) -> bytes:
        """The record's content, as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()


def record(app: str, digest: str) -> str:
    """Where the record of an app's image lies in the models bucket. Raises ValueError where `digest` is none."""
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not of the form sha256:<64 hexadecimal digits>")
    return f"releases/{app}/{digest.removeprefix('sha256:')}.json"


@dataclass(frozen=True, slots=True)
class Overlay:
    """The digests that a pull request's overlay of an app names, beside main's in the same environment and in the one
    before it, which is `None` for the first environment."""

    app: str
    environment: str
    wanted: frozenset[str]
    current: frozenset[str]
    before: frozenset[str] | None


def digests(content: bytes) -> frozenset[str]:
    """Every image digest in a file, whatever the file is."""
    return frozenset(DIGEST.findall(content.decode("utf-8", errors="replace")))


def problems(
    overlay: Overlay, is_released: Callable[[str], bool], was_deployed: Callable[[str], bool]
) -> Sequence[str]:
    """A sentence for each digest that the environment must not get.

    Args:
        overlay: what is wanted where.
        is_released: whether a release has published the digest as an image of the app.
        was_deployed: whether main's overlay has named the digest before: going back is always allowed.
    """
    found = []
    for digest in sorted(overlay.wanted - overlay.current):
        name = f"apps/{overlay.app}/overlays/{overlay.environment}: {digest[:19]}"
        if was_deployed(digest):
            continue
        if not is_released(digest):
            found.append(f"{name} is not an image that release has published")
        elif overlay.before is not None and digest not in overlay.before:
            found.append(f"{name} does not run in the environment before {overlay.environment}: deploy it there first")
    return found
