"""The image digest in a kustomize overlay."""

from ci.document import DocumentError, mapping, parse_yaml, place, sequence
from mlplatform.releases import DIGEST, NEW_OVERLAY, overlay_folder


def path(app: str, stage: str) -> str:
    """Where an app's overlay of a stage lies, from the repository's root."""
    return f"{overlay_folder(app, stage)}/kustomization.yaml"


def digest(text: bytes | None, image: str, source: str) -> str | None:
    """The digest that an overlay gives an image, `None` where there is no overlay yet. Raises `DocumentError`."""
    if text is None:
        return None
    content = mapping(parse_yaml(text, source), source)
    for entry in sequence(content.get("images"), f"{source}: images"):
        if mapping(entry, f"{source}: images").get("name") == image:
            found = entry.get("digest")
            if not isinstance(found, str) or not DIGEST.fullmatch(found):
                raise DocumentError(f"{source}: images: {image} has no digest: overlays pin by digest, give it one")
            return found
    raise DocumentError(f"{source}: images: has no entry named {image}: add one with its digest")


def set_digest(text: bytes | None, image: str, new: str, source: str) -> bytes:
    """The overlay with the image at digest `new`, all else as it was; a new overlay where there is none.

    Raises:
        DocumentError: the overlay pins the image in no way that this can change.
        ValueError: `new` is no digest.
    """
    if not DIGEST.fullmatch(new):
        raise ValueError(f"{new!r} is not of the form sha256:<64 hexadecimal digits>")
    old = digest(text, image, source)
    if text is None or old is None:
        return NEW_OVERLAY.format(image=image, digest=new).encode()
    # Replaced as text, so that comments and order stay, and in this image's entry alone: another may be at the same.
    entries = sequence(mapping(parse_yaml(text, source), source).get("images"), f"{source}: images")
    number = next(at for at, entry in enumerate(entries) if entry.get("name") == image)
    start, end = place(text, ["images", number, "digest"], source)
    whole = text.decode()
    return f"{whole[:start]}{whole[start:end].replace(old, new)}{whole[end:]}".encode()
