"""Overlays of which only digests of images change: a deployment, which the quality gate judges."""

import re

from mlplatform.releases import DIGEST, NEW_OVERLAY

_PATH = re.compile(r"apps/([^/]+)/overlays/[^/]+/kustomization\.yaml")
_BELOW = re.compile(r"apps/[^/]+/overlays(/.*)?", re.DOTALL)


def is_overlay(path: str) -> bool:
    """Whether a path is that of an app's overlay."""
    return _PATH.fullmatch(path) is not None


def is_of_overlay(path: str) -> bool:
    """Whether a path is that of an app's overlay, of a file beside it, or of what could take a folder's place there."""
    return _BELOW.fullmatch(path) is not None


def only_digests(path: str, before: bytes | None, after: bytes | None) -> bool:
    """Whether a file is an app's overlay, and nothing of it differs but digests, or it is new and as release writes it.

    Args:
        before: main's file, `None` where it has none.
        after: the pull request's.
    """
    found = _PATH.fullmatch(path)
    if found is None or after is None:
        return False
    if before is None:
        before = NEW_OVERLAY.format(image=found[1], digest="sha256:" + "0" * 64).encode()
    return _without_digests(before) == _without_digests(after)


def _without_digests(content: bytes) -> bytes:
    return re.sub(DIGEST.pattern.encode(), b"DIGEST", content)
