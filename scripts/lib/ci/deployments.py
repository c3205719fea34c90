"""Which images a pull request wants to deploy, and whether it may: the gate's part that reads overlays."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ci import manifests
from ci.document import mapping, parse_yaml, texts
from ci.git import Repository
from ci.manifests import Content
from ci.tree import LinkedTree, Tree
from mlplatform import checkout, pin, releases
from mlplatform.evaluation.declaration import Kind
from mlplatform.evaluation.scope import Ask

OVERLAY = re.compile(r"apps/([^/]+)/overlays/([^/]+)/.+")
# Where a link would put another folder in the place of an overlay.
ABOVE = re.compile(r"apps/[^/]+(/overlays(/[^/]+)?)?")
CLUSTER = re.compile(r"clusters/[^/]+/cluster\.yaml")


@dataclass(frozen=True, slots=True)
class Findings:
    """A sentence for each image that must not be deployed, and for each overlay that does not say all that it deploys;
    and what an owner has to approve."""

    refused: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked of releases and of main's past.

    Attributes:
        is_released: whether a release has published the digest of the app: (app, digest).
        was_deployed: whether main has had the digest in the folder before: (folder, digest).
        deployed: the digests that main has an environment run: (app, environment).
        pin_problems: why the head's pin must not be merged: (app, environment, the environment before).
    """

    is_released: Callable[[str, str], bool]
    was_deployed: Callable[[str, str], bool]
    deployed: Callable[[str, str], frozenset[str]]
    pin_problems: Callable[[str, str, str | None], Iterable[str]] = lambda *_: ()


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


def judge(changed: Sequence[str], head: LinkedTree, main: Tree, known: Known) -> Findings:
    """Judge the overlays that a change touches.

    Args:
        changed: paths that differ between where the branch left main and its head.
        head: the pull request's files.
        main: main's files.
        known: what main's past and the releases say.

    Raises:
        DocumentError: a cluster's file, or main's pin of an environment, cannot be read.
    """
    links = [
        f"{path}: links are not followed: put the folder itself there"
        for path in changed
        if ABOVE.fullmatch(path) and path in head.links(path)
    ]
    unclear = list(altered(head, changed))
    refused: list[str] = []
    asks: list[Ask] = []
    for app, environment in sorted({(match[1], match[2]) for path in changed if (match := OVERLAY.fullmatch(path))}):
        wanted, current = (manifests.read(tree, app, environment) for tree in (head, main))
        before = environment_before(main, environment)
        overlay = releases.Overlay(
            app,
            environment,
            wanted.digests | _anywhere(head, app, environment),
            current.digests,
            None if before is None else known.deployed(app, before),
            wanted.elsewhere,
        )
        found = releases.judge(
            overlay,
            lambda digest, app=app: known.is_released(app, digest),  # type: ignore[misc]
            lambda digest, folder=overlay.folder: known.was_deployed(folder, digest),  # type: ignore[misc]
        )
        unclear += _unclear(overlay, head, wanted, current)
        if pin.path(app, environment) in changed:
            refused += known.pin_problems(app, environment, before)
        refused += found.refused
        asks += [
            Ask(f"{overlay.folder} ({image})", Kind.UNKNOWN, "no release of this platform published it")
            for image in found.foreign
        ]
    return Findings((*links, *unclear, *refused), tuple(asks))


def altered(tree: Tree, paths: Iterable[str]) -> Iterator[str]:
    """Why Argo CD's checkout may differ from what a commit holds: a sentence for each of the paths that make it so."""
    for path in paths:
        concerns = path == checkout.FILE or (path.startswith("apps/") and path.endswith(f"/{checkout.FILE}"))
        if concerns and (attribute := checkout.altering(tree.read(path) or b"")):
            yield (
                f"{path}: {attribute}: what is deployed must be what was reviewed: set it in a {checkout.FILE} of the"
                " folder that needs it, outside of apps/"
            )


def was_deployed(repository: Repository, main: str, folder: str, digest: str) -> bool:
    """Whether a merge into main, or a commit of its own, brought or took the digest in a folder.

    Commits of the branches that were merged do not count: the gate judged what they came to, not each of them.
    """
    options = ("--first-parent", "--diff-merges=first-parent", "-1", "--format=%H", f"-S{digest}")
    return bool(repository.git("log", *options, main, "--", folder).strip())


def _unclear(overlay: releases.Overlay, head: LinkedTree, wanted: Content, current: Content) -> Iterator[str]:
    """Why nobody could tell what an overlay of the head deploys. `wanted`, `current`: what it says, and main's."""
    folder = overlay.folder
    yield from (f"{path}: links are not followed: put the file itself there" for path in head.links(f"{folder}/"))
    if wanted.problem:
        yield wanted.problem
    elif head.files(folder):
        # What a pin says of an image counts, whatever the overlay does.
        is_pinned = head.read(pin.path(overlay.app, overlay.environment)) is not None
        given_up = set() if is_pinned else current.pinned.keys() - wanted.pinned.keys()
        for name in sorted(given_up & manifests.names_in_base(head, overlay.app)):
            where = f"{folder}/{manifests.FILE}: images"
            yield f"{where}: {name} has lost its digest, and the base names it without: give it one"


def _anywhere(tree: Tree, app: str, environment: str) -> frozenset[str]:
    """Every digest that stands anywhere in an overlay, a comment too: what main had may be deployed again. Those of a
    pin are judged with it."""
    files = set(tree.files(releases.overlay_folder(app, environment))) - {pin.path(app, environment)}
    return frozenset[str]().union(*(releases.digests(tree.read(path) or b"") for path in files))
