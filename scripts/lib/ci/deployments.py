"""Which images a pull request wants to deploy, and whether it may: the gate's part that reads overlays."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ci import manifests
from ci.document import mapping, parse_yaml, texts
from ci.git import Repository
from ci.tree import LinkedTree, Tree
from mlplatform import releases
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


def overlays(changed: Sequence[str], head: Tree, main: Tree) -> Iterator[releases.Overlay]:
    """The overlays that a change touches. `changed`: paths from the repository's root."""
    for app, environment in _touched(changed):
        before = environment_before(main, environment)
        yield releases.Overlay(
            app,
            environment,
            _said(head, app, environment),
            manifests.read(main, app, environment).digests,
            None if before is None else manifests.read(main, app, before).digests,
            manifests.read(head, app, environment).elsewhere,
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
    head: LinkedTree,
    main: Tree,
    is_released: Callable[[str, str], bool],
    was_deployed: Callable[[str, str], bool],
) -> Findings:
    """Judge the overlays that a change touches.

    Args:
        changed: paths that differ between where the branch left main and its head.
        head: the pull request's files.
        main: main's files.
        is_released: whether a release has published the digest of the app: (app, digest).
        was_deployed: whether main has had the digest in the folder before: (folder, digest).

    Raises:
        DocumentError: a cluster's file cannot be read.
    """
    refused = [
        f"{path}: links are not followed: put the folder itself there"
        for path in changed
        if ABOVE.fullmatch(path) and path in head.links(path)
    ]
    asks: list[Ask] = []
    for app, environment in _touched(changed):
        refused += _unclear(app, environment, head, main)
    for overlay in overlays(changed, head, main):
        found = releases.judge(
            overlay,
            lambda digest, app=overlay.app: is_released(app, digest),  # type: ignore[misc]
            lambda digest, folder=overlay.folder: was_deployed(folder, digest),  # type: ignore[misc]
        )
        refused += found.refused
        asks += [
            Ask(f"{overlay.folder} ({image})", Kind.UNKNOWN, "no release of this platform published it")
            for image in found.foreign
        ]
    return Findings(tuple(refused), tuple(asks))


def was_deployed(repository: Repository, main: str, folder: str, digest: str) -> bool:
    """Whether a merge into main, or a commit of its own, brought or took the digest in a folder.

    Commits of the branches that were merged do not count: the gate judged what they came to, not each of them.
    """
    options = ("--first-parent", "--diff-merges=first-parent", "-1", "--format=%H", f"-S{digest}")
    return bool(repository.git("log", *options, main, "--", folder).strip())


def _touched(changed: Sequence[str]) -> list[tuple[str, str]]:
    """App and environment of each overlay that a change touches."""
    return sorted({(match[1], match[2]) for path in changed if (match := OVERLAY.fullmatch(path))})


def _unclear(app: str, environment: str, head: LinkedTree, main: Tree) -> Iterator[str]:
    """Why nobody could tell what an overlay of the head deploys."""
    folder = manifests.folder(app, environment)
    yield from (f"{path}: links are not followed: put the file itself there" for path in head.links(f"{folder}/"))
    content = manifests.read(head, app, environment)
    if content.problem:
        yield content.problem
    elif head.files(folder):
        given_up = manifests.read(main, app, environment).pinned.keys() - content.pinned.keys()
        for name in sorted(given_up & manifests.names_in_base(head, app)):
            where = f"{folder}/{manifests.FILE}: images"
            yield f"{where}: {name} has lost its digest, and the base names it without: give it one"


def _said(tree: Tree, app: str, environment: str) -> frozenset[str]:
    """Every digest that an overlay deploys, or that stands anywhere in it: what main had may be deployed again."""
    folder = manifests.folder(app, environment)
    anywhere = (releases.digests(tree.read(path) or b"") for path in tree.files(folder))
    return manifests.read(tree, app, environment).digests.union(*anywhere)
