"""What all tests share: where things are, tools that must be there, and the platform that core tests drive."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from settings import ROOT, Cluster, Paths, load_local

LIVE = ("host", "core", "platform")
# Tiers that are run by name only.
NAMED = ("attacks", "faults", "infrastructure", "upgrade", "providers")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test without a tier's marker is a unit test."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("tools", "render", "policy", *NAMED, *LIVE)):
            item.add_marker(pytest.mark.unit)


@pytest.fixture(autouse=True)
def _no_real_state(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Only tests of the platform see its state directory and the folder of this run's evidence; whatever else runs
    finds empty ones.
    """
    if not any(request.node.get_closest_marker(name) for name in LIVE):
        monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(tmp_path_factory.getbasetemp() / "no-state"))
        monkeypatch.setenv("ML_PLATFORM_ARTIFACTS", str(tmp_path_factory.getbasetemp() / "no-artifacts"))


@pytest.fixture(scope="session")
def paths() -> Paths:
    """The real state and cache directories."""
    return Paths.from_environment()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The facts of the cluster on one machine."""
    return load_local("local")


@pytest.fixture(scope="session")
def tool(paths: Paths) -> Callable[[str], Path]:
    """Finds a program of the toolchain; its absence fails the test with the fix."""

    def find(name: str) -> Path:
        path = paths.bin / name
        if not path.exists():
            pytest.fail(f"{path} is missing: run scripts/test tools, or scripts/up, which make the tools first")
        return path

    return find


@pytest.fixture(scope="session")
def platform(paths: Paths) -> Paths:
    """The running platform, set up by scripts/up; at most a few seconds when it is up already."""
    done = subprocess.run([ROOT / "scripts" / "up"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"scripts/up failed:\n{done.stderr[-4000:]}")
    return paths


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep logs at the moment a test of the platform fails; later tests, a purge above all, would change them."""
    report = yield
    if report.failed and any(item.get_closest_marker(name) for name in LIVE):
        from cli import evidence  # noqa: PLC0415 - the environment of tests/ml lacks what the verbs need

        folder = evidence.folder() / re.sub(r"[^\w.-]+", "-", item.nodeid)
        evidence.collect(Paths.from_environment(), folder)
        report.sections.append(("kept", f"logs of services and pods: {folder}"))
    return report


def pytest_report_header() -> str:
    """Where tools and state are looked for."""
    found = Paths.from_environment(os.environ)
    return f"cache {found.cache}, state {found.state}"
