"""What was released: a record an image in the models bucket, which only the job that releases may write."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

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


def overlay_folder(app: str, environment: str) -> str:
    """Where an app's overlay of an environment lies, from the repository's root."""
    return f"apps/{app}/overlays/{environment}"


@dataclass(frozen=True, slots=True)
class Overlay:
    """The digests that a pull request's overlay of an app names, beside main's in the same environment and in the one
    before it, which is `None` for the first environment. `elsewhere`: the image's name, by digest, of those that the
    overlay names with a registry."""

    app: str
    environment: str
    wanted: frozenset[str]
    current: frozenset[str]
    before: frozenset[str] | None
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Where it lies, from the repository's root."""
        return overlay_folder(self.app, self.environment)


@dataclass(frozen=True, slots=True)
class Findings:
    """`refused`: a sentence for each digest that the environment must not get; `foreign`: somebody else's images, which
    an owner has to approve."""

    refused: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def digests(content: bytes) -> frozenset[str]:
    """Every image digest in a file, whatever the file is."""
    return frozenset(DIGEST.findall(content.decode("utf-8", errors="replace")))


def has_registry(name: str) -> bool:
    """Whether an image's name says in which registry it lies. One that does not is ours, and lies in the cluster's."""
    host, slash, _ = name.partition("/")
    return bool(slash) and (host == "localhost" or "." in host or ":" in host)


def judge(overlay: Overlay, is_released: Callable[[str], bool], was_deployed: Callable[[str], bool]) -> Findings:
    """Judge the digests that an overlay names and main's does not.

    Args:
        overlay: what is wanted where.
        is_released: whether a release has published the digest as an image of the app.
        was_deployed: whether main's overlay has named the digest before: going back is always allowed.
    """
    refused, foreign = [], []
    for digest in sorted(overlay.wanted - overlay.current):
        name = f"{overlay.folder}: {digest[:19]}"
        if was_deployed(digest):
            continue
        is_ours = is_released(digest)
        if not is_ours and digest not in overlay.elsewhere:
            refused.append(f"{name} is not an image that release has published; another's is named with its registry")
        elif overlay.before is not None and digest not in overlay.before:
            refused.append(
                f"{name} does not run in the environment before {overlay.environment}: deploy it there first"
            )
        elif not is_ours:
            foreign.append(f"{overlay.elsewhere[digest]}@{digest[:19]}")
    return Findings(tuple(refused), tuple(foreign))
