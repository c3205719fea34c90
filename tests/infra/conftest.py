"""One stack on loopback for all tests that need it; each test leaves it as the last `pulumi up` made it."""

from collections.abc import Iterator

import pytest

from control_plane.stack import Stack, local_stack


@pytest.fixture(scope="session")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack `local`, not applied yet, with its own control plane, store, state and cache."""
    with local_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def applied(loopback: Stack) -> Stack:
    """The same stack after `pulumi up`."""
    loopback.pulumi("up", "--yes", "--skip-preview")
    return loopback
