"""AWS on loopback for the rows of its plugin, and the things that others of its things belong to."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from plugins.aws.provider import Aws
from settings import ROOT


@pytest.fixture(scope="session")
def emulated() -> Iterator[dict[str, str]]:
    """The variables that send AWS clients to an emulator of this session."""
    path = os.pathsep.join(str(ROOT / part) for part in ("tests/support", "infra"))
    command = [sys.executable, "-m", "emulator", "--until-stdin-closes", "--seconds", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout
        assert process.stdin
        told = [line.strip() for line in iter(process.stdout.readline, "ready\n") if line or process.poll() is None]
        yield dict(line.removeprefix("export ").split("=", 1) for line in told)
        process.stdin.close()


@pytest.fixture(scope="session")
def aws(emulated: dict[str, str]) -> Iterator[Aws]:
    """The provider, configured as by a stack of the emulated account."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in emulated.items():
            patch.setenv(name, value)
        provider = Aws()
        provider.configure({"region": "eu-central-1", "allowedAccountIds": '["123456789012"]'})
        for service in ("ec2", "ecr", "eks", "iam", "kms", "logs", "s3"):
            provider.client(service)  # while the variables are set
        yield provider
