"""The stacks on AWS, run by the real engine against the emulator."""

from collections.abc import Iterator

import pytest

from emulator.stacks import Stacks, aws_stacks

# The same stage with nodes that the stack makes itself, as a copied cluster file.
MANAGED = {
    "dev": {"kubernetes": {"compute": "managed", "systemNodes": {"instanceTypes": ["m7i.large"], "min": 2, "max": 4}}}
}


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    """An emulated account with the stack `shared` up, and no stage."""
    with aws_stacks(tmp_path_factory.mktemp("aws"), {}) as stacks:
        stacks.prepare("shared").pulumi("up", "--yes", "--skip-preview")
        yield stacks


@pytest.fixture(scope="session")
def managed_account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    """The same, where `dev` has managed nodes."""
    with aws_stacks(tmp_path_factory.mktemp("managed"), MANAGED) as stacks:
        stacks.prepare("shared").pulumi("up", "--yes", "--skip-preview")
        yield stacks
