"""Which images a pull request wants to deploy, and whether it may: the gate's part that reads overlays."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ci.document import mapping, parse_yaml, sequence, texts
from ci.failure import Unacceptable
from ci.tree import Tree
from mlplatform import releases
from mlplatform.evaluation.declaration import Kind
from mlplatform.evaluation.scope import Ask

OVERLAY = re.compile(r"apps/([^/]+)/overlays/([^/]+)/.+")
CLUSTER = re.compile(r"clusters/[^/]+/cluster\.yaml")
# Of a manifest or a patch, in either style of YAML; whatever else the file says.
IMAGE = re.compile(r"""(?:^[ \t-]*|[{,][ \t]*)["']?image["']?[ \t]*:[ \t]*["']?([^\s"'#,}\]]+)""", re.MULTILINE)
BETWEEN = re.compile(r"""[\s"'\[\]{},]""")
MOST_NAME = 300
TAG = re.compile(r":[^/:]+$")


@dataclass(frozen=True, slots=True)
class Findings:
    """A sentence for each image that must not be deployed, and what an owner has to approve."""

    refused: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class Images:
    """What an overlay names: the image's name, by digest, of those with a registry in it, and what has no digest."""

    elsewhere: Mapping[str, str]
    unpinned: frozenset[str]


def overlays(changed: Sequence[str], head: Tree, main: Tree) -> Iterator[releases.Overlay]:
    """The overlays that a change touches. `changed`: paths from the repository's root."""
    for app, environment in sorted({match.groups() for path in changed if (match := OVERLAY.fullmatch(path))}):
        before = environment_before(main, environment)
        yield releases.Overlay(
            app,
            environment,
            _digests(head, app, environment),
            _digests(main, app, environment),
            None if before is None else _digests(main, app, before),
            _images(head, app, environment).elsewhere,
        )


def environment_before(main: Tree, environment: str) -> str | None:
    """The environment from which a release is promoted to this one, by main's clusters; `None` for the first.

    Raises:
        DocumentError: a cluster's file cannot be read.
    """
    for path in main.files("clusters"):
        if CLUSTER.fullmatch(path):
            content = mapping(parse_yaml(main.read(path) or b"", path), path)
            order = texts(content.get("stages"), f"{path}: stages")
            if environment in order[1:]:
                return order[order.index(environment) - 1]
    return None


def judge(
    changed: Sequence[str],
    head: Tree,
    main: Tree,
    is_released: Callable[[str, str], bool],
    was_deployed: Callable[[str, str], bool],
) -> Findings:
    """Judge the images of the overlays that a change touches.

    Args:
        changed: paths that differ between where the branch left main and its head.
        head: the pull request's files.
        main: main's files.
        is_released: whether a release has published the digest of the app: (app, digest).
        was_deployed: whether main has had the digest in the folder before: (folder, digest).

    Raises:
        DocumentError: an overlay of the head or a cluster's file cannot be read.
    """
    refused: list[str] = []
    asks: list[Ask] = []
    for overlay in overlays(changed, head, main):
        found = releases.judge(
            overlay,
            lambda digest, app=overlay.app: is_released(app, digest),  # type: ignore[misc]
            lambda digest, folder=overlay.folder: was_deployed(folder, digest),  # type: ignore[misc]
        )
        refused += found.refused
        refused += [
            f"{overlay.folder}: {name} has no digest: overlays pin by digest, give it one"
            for name in sorted(_unpinned(head, overlay) - _unpinned(main, overlay))
        ]
        asks += [
            Ask(f"{overlay.folder} ({image})", Kind.UNKNOWN, "no release of this platform published it")
            for image in found.foreign
        ]
    return Findings(tuple(refused), tuple(asks))


def _unpinned(tree: Tree, overlay: releases.Overlay) -> frozenset[str]:
    try:
        return _images(tree, overlay.app, overlay.environment).unpinned
    except Unacceptable:
        # Main's: the head's was read before. What repairs it is not held against what was broken.
        return frozenset()


def _images(tree: Tree, app: str, environment: str) -> Images:
    """Raises `DocumentError`."""
    folder = f"apps/{app}/overlays/{environment}"
    source = f"{folder}/kustomization.yaml"
    text = tree.read(source)
    content = {} if text is None else mapping(parse_yaml(text, source), source)
    elsewhere: dict[str, str] = {}
    ours: set[str] = set()
    pinned, unpinned = set(), set()
    for item in sequence(content.get("images"), f"{source}: images"):
        entry = mapping(item, f"{source}: images")
        name, digest = str(entry.get("newName") or entry.get("name")), entry.get("digest")
        if not isinstance(digest, str) or not releases.DIGEST.fullmatch(digest):
            unpinned.add(name)
            continue
        pinned.add(str(entry.get("name")))
        if releases.has_registry(name):
            elsewhere[digest] = name
        else:
            ours.add(digest)
    for path in tree.files(folder):
        said = (tree.read(path) or b"").decode("utf-8", errors="replace")
        for name, digest in _references(said):
            if releases.has_registry(name):
                elsewhere.setdefault(digest, name)
            else:
                ours.add(digest)
        for reference in IMAGE.findall(said):
            name = TAG.sub("", reference)
            # A name alone is the app's own image, of which the overlay or the cluster has the digest.
            if "@" not in reference and name not in pinned and (name != reference or releases.has_registry(name)):
                unpinned.add(reference)
    return Images({digest: name for digest, name in elsewhere.items() if digest not in ours}, frozenset(unpinned))


def _references(text: str) -> Iterator[tuple[str, str]]:
    """Every `name@digest`."""
    for found in releases.DIGEST.finditer(text):
        before = text[max(0, found.start() - MOST_NAME) : found.start()]
        if before.endswith("@"):
            yield BETWEEN.split(before[:-1])[-1], found[0]


def _digests(tree: Tree, app: str, environment: str) -> frozenset[str]:
    files = tree.files(f"apps/{app}/overlays/{environment}")
    return frozenset[str]().union(*(releases.digests(tree.read(path) or b"") for path in files))
