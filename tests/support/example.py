"""A platform whose facts tests may state: the clusters under `tests/example`, whatever a team writes into its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from settings import ROOT, AwsShared, AwsStage, load_cluster

# As the root of a checkout, for what reads `clusters/` of one.
EXAMPLE = ROOT / "tests" / "example"
ACCOUNT, REGION = "123456789012", "eu-central-1"
ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:role/platform-engineer"
# The repository on GitHub, plain and with its numbers as GitHub's tokens name it.
REPOSITORY, CLAIM = "owner/platform", "owner@123456/platform@456789"


@contextmanager
def instead() -> Iterator[None]:
    """Whoever reads a cluster without saying where reads the example's, until the block ends."""
    with mock.patch.object(load_cluster, "__defaults__", (EXAMPLE,)):
        yield


def stage(name: str) -> AwsStage:
    """The settings of a stage on AWS."""
    found = load_cluster(name, EXAMPLE)
    assert isinstance(found, AwsStage)
    return found


def shared() -> AwsShared:
    """The settings of what they share."""
    found = load_cluster("shared", EXAMPLE)
    assert isinstance(found, AwsShared)
    return found
