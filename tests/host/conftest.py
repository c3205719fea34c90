"""The host that the tests of this folder look at, and what they need to know of the platform on it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from settings import Cluster, Paths

RUN = Path("/run/ml-platform")
RECORD = Path("/etc/ml-platform.json")


class Hidden(dict[str, str]):
    """Secrets that a failing test's report does not print."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


Kubectl = Callable[..., str]


@pytest.fixture(scope="session")
def host(platform: Paths) -> Host:
    """This machine, with the platform up. The only place that knows how it is reached."""
    return testinfra.get_host("local://")


@pytest.fixture(scope="session")
def kubectl(platform: Paths, tool: Callable[[str], Path]) -> Kubectl:
    """Runs kubectl and returns what it prints."""

    def run(*arguments: str) -> str:
        command = [tool("kubectl"), f"--kubeconfig={platform.kubeconfig}", "--request-timeout=20s", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def nodes(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kubectl("get", "nodes", "--output=json"))["items"]
    return found


@pytest.fixture(scope="session")
def secrets(platform: Paths) -> dict[str, str]:
    """Every generated secret by its name."""
    return Hidden({path.name: path.read_text() for path in platform.secrets.iterdir()})


@pytest.fixture(scope="session")
def forge_api(cluster: Cluster) -> str:
    return f"{cluster.forge.url}/api/v1"
