"""The real tools, as they are in the cache: each is what the manifest pins, and whole."""

import subprocess

import pytest

import settings
import toolchain
from toolchain import manifest, versions

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def installed() -> dict[str, toolchain.Installed]:
    """Every tool, obtained now where it is missing."""
    return {item.name: item for item in toolchain.install(paths=settings.Paths.from_environment())}


@pytest.mark.parametrize("tool", manifest.load().values(), ids=lambda tool: tool.name)
def test_every_binary_reports_an_accepted_version(
    tool: manifest.Tool, installed: dict[str, toolchain.Installed]
) -> None:
    item = installed[tool.name]
    for binary, path in item.binaries.items():
        answer = subprocess.run(
            [path, *tool.arguments_for_version(binary)], capture_output=True, text=True, check=True, timeout=60
        )
        version = versions.parse(answer.stdout or answer.stderr)
        assert version == versions.parse(item.version), f"{binary}: {answer.stdout}{answer.stderr}"
        assert item.source == "path" or item.version == tool.version


def test_every_binary_is_linked(installed: dict[str, toolchain.Installed]) -> None:
    links = settings.Paths.from_environment().bin
    for item in installed.values():
        for binary, path in item.binaries.items():
            assert (links / binary).readlink() == path


def test_gitea_has_its_pages_and_built_web_assets(installed: dict[str, toolchain.Installed]) -> None:
    if installed["gitea"].source == "release":
        # Upstream says with its version that everything is in the program.
        answer = subprocess.run([installed["gitea"].binaries["gitea"], "--version"], capture_output=True, text=True)
        assert "bindata" in answer.stdout
        return
    static = installed["gitea"].folder / "static"
    assert (static / "templates" / "home.tmpl").is_file()
    assert (static / "options" / "locale" / "locale_en-US.json").is_file()
    assert list((static / "public" / "assets" / "css").glob("index*.css"))
    assert list((static / "public" / "assets" / "js").glob("index*.js"))


def test_argocd_has_its_manifests(installed: dict[str, toolchain.Installed]) -> None:
    install = (installed["argocd"].folder / "manifests" / "install.yaml").read_text()
    assert f"quay.io/argoproj/argocd:{installed['argocd'].version}" in install
