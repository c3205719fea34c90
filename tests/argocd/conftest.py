"""What Argo CD is given, rendered; and its own controllers at work on it."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import argocd_install
from control_plane.argo import Argo, controllers
from runner_harness.process import tool
from settings import ROOT, Paths


@pytest.fixture(scope="session")
def built() -> list[dict[str, Any]]:
    """What the root Application applies: `kustomize build argocd`."""
    command = [tool("kustomize"), "build", str(ROOT / "argocd")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="session")
def install() -> list[dict[str, Any]]:
    """Argo CD's own objects."""
    return argocd_install.documents(Paths.from_environment())


@pytest.fixture(scope="session")
def argo(
    tmp_path_factory: pytest.TempPathFactory, built: list[dict[str, Any]], install: list[dict[str, Any]]
) -> Iterator[Argo]:
    """The controllers, and a git repository that stands for the forge's."""
    with controllers(tmp_path_factory.mktemp("argo"), built, install) as found:
        yield found
