"""One platform for all end-to-end tests, and what they do with it.

Modules run in the order of `ORDER`: what later ones need earlier ones make, and the last one leaves nothing behind.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import git, loop
from cli.kube import Kubectl
from live import Platform
from settings import Cluster, Paths

ORDER = (
    "test_bad_input",
    "test_loop",
    "test_gate",
    "test_checks",
    "test_merging",
    "test_infrastructure",
    "test_drift",
    "test_runner",
    "test_recovery",
    "test_purge",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put these modules in order; every one of their tests is of tier core, unless it is run by name only."""
    here = Path(__file__).parent
    ours = [item for item in items if item.path.parent == here]
    for item in ours:
        named = item.get_closest_marker("faults") or item.get_closest_marker("infrastructure")
        item.add_marker(pytest.mark.platform if named else pytest.mark.core)
    positions = [number for number, item in enumerate(items) if item.path.parent == here]
    ordered = sorted(ours, key=lambda item: ORDER.index(item.path.stem))
    for number, item in zip(positions, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="session")
def live(platform: Paths, cluster: Cluster) -> Iterator[Platform]:
    """The platform that scripts/up set up."""
    member = loop.member(cluster, platform)
    yield Platform(cluster, platform, Kubectl(platform), member)
    member.close()


@pytest.fixture(scope="session")
def checkout_state() -> Callable[[Path], str]:
    """Describes a checkout: what git says of its files, its references and where HEAD is."""

    def state(root: Path) -> str:
        repository = git.checkout(root)
        return "\n".join(
            [
                repository.git("status", "--porcelain", "--untracked-files=all"),
                repository.git("for-each-ref"),
                repository.git("rev-parse", "HEAD"),
            ]
        )

    return state


@pytest.fixture(scope="session", autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.fail("end-to-end tests set up a host: run them as root")
