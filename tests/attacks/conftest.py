"""The running platform, and jobs of branches on it, for those attacks that need them."""

from collections.abc import Iterator

import pytest

from branch_jobs import BranchJobs
from cli import loop
from cli.kube import Kubectl
from live import Platform
from settings import Cluster, Paths


@pytest.fixture(scope="session")
def live(platform: Paths, cluster: Cluster) -> Iterator[Platform]:
    """The platform that scripts/up set up."""
    member = loop.member(cluster, platform)
    yield Platform(cluster, platform, Kubectl(platform), member)
    member.close()


@pytest.fixture
def jobs(live: Platform) -> Iterator[BranchJobs]:
    """What an attacker pushes."""
    found = BranchJobs(live)
    yield found
    found.close()
