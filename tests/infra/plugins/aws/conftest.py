"""AWS on loopback for the rows of its plugin."""

from collections.abc import Iterator

import pytest

from emulator.process import emulator
from plugins.aws.provider import Aws

SERVICES = ("ec2", "ecr", "eks", "iam", "kms", "logs", "s3")


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The provider, configured as by a stack of the emulated account."""
    with emulator(tmp_path_factory.mktemp("aws"), "--seconds=0") as emulated, pytest.MonkeyPatch.context() as patch:
        for name, value in emulated.variables.items():
            patch.setenv(name, value)
        provider = Aws()
        provider.configure({"region": "eu-central-1", "allowedAccountIds": '["123456789012"]'})
        for service in SERVICES:
            provider.client(service)  # while the variables are set
        patch.undo()
        yield provider
