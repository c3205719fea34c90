"""Which digests a pull request wants to deploy, and whether it may: the gate's part that reads overlays."""

import re
from collections.abc import Callable, Iterator, Sequence

from ci.document import mapping, parse_yaml, texts
from ci.tree import Tree
from mlplatform import releases

OVERLAY = re.compile(r"apps/([^/]+)/overlays/([^/]+)/.+")
CLUSTER = re.compile(r"clusters/[^/]+/cluster\.yaml")


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


def problems(
    changed: Sequence[str],
    head: Tree,
    main: Tree,
    is_released: Callable[[str, str], bool],
    was_deployed: Callable[[str, str], bool],
) -> list[str]:
    """A sentence for each digest that must not be deployed.

    Args:
        changed: paths that differ between where the branch left main and its head.
        head: the pull request's files.
        main: main's files.
        is_released: whether a release has published the digest of the app: (app, digest).
        was_deployed: whether main has had the digest in the folder before: (folder, digest).
    """
    found: list[str] = []
    for overlay in overlays(changed, head, main):
        folder = f"apps/{overlay.app}/overlays/{overlay.environment}"
        found += releases.problems(
            overlay,
            lambda digest, app=overlay.app: is_released(app, digest),  # type: ignore[misc]
            lambda digest, folder=folder: was_deployed(folder, digest),  # type: ignore[misc]
        )
    return found


def _digests(tree: Tree, app: str, environment: str) -> frozenset[str]:
    files = tree.files(f"apps/{app}/overlays/{environment}")
    return frozenset[str]().union(*(releases.digests(tree.read(path) or b"") for path in files))
