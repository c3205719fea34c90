"""Pinning another version, with the real Go and the module proxy."""

import shutil
from pathlib import Path

import pytest

import settings
from toolchain import manifest, upgrade
from toolchain.errors import ToolchainError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the manifest and of the modules of two small tools."""
    target = tmp_path / "toolchain"
    shutil.copytree(manifest.HERE / "go", target / "go")
    shutil.copyfile(manifest.HERE / "tools.toml", target / "tools.toml")
    return target


@pytest.mark.tools
def test_pinning_another_version_changes_go_mod_and_go_sum(folder: Path) -> None:
    """Its sums come too where upstream can be reached, which is told either way."""
    said: list[str] = []
    upgrade.upgrade("actionlint", "v1.7.11", paths=settings.Paths.from_environment(), folder=folder, log=said.append)
    tool = manifest.load(folder)["actionlint"]
    assert tool.version == "v1.7.11"
    assert "github.com/rhysd/actionlint v1.7.11 h1:" in (tool.folder / "go.sum").read_text()
    assert "actionlint: v1.7.12 -> v1.7.11" in said
    pinned = "v1.7.11" in tool.release_entry["sha256"]
    notice = "pinned the sums that upstream publishes" if pinned else "sums of its release files are not pinned"
    assert len([line for line in said if notice in line]) == 1
    release = tool.release("amd64")
    assert release is not None
    assert [bool(file.sha256) for file in release.files.values()] == [pinned]


@pytest.mark.tools
def test_a_version_that_does_not_exist_leaves_the_pinned_one(folder: Path) -> None:
    before = (folder / "go" / "actionlint" / "go.mod").read_text()
    with pytest.raises(ToolchainError, match="actionlint: go mod failed"):
        upgrade.upgrade("actionlint", "v1.999.0", paths=settings.Paths.from_environment(), folder=folder)
    assert (folder / "go" / "actionlint" / "go.mod").read_text() == before


def test_replacements_follow_the_new_version() -> None:
    """Versions come from upstream's go.mod, Kubernetes' staging folders become modules, our own forks stay."""

    def item(old: str, new: str, version: str = "") -> dict[str, dict[str, str]]:
        return {"Old": {"Path": old}, "New": {"Path": new} | ({"Version": version} if version else {})}

    ours = {
        "Replace": [
            item("k8s.io/api", "k8s.io/api", "v0.35.0"),
            item("github.com/a/clip", "github.com/b/clip", "v1.0.0"),
        ]
    }
    theirs = {
        "Replace": [
            item("k8s.io/api", "./staging/src/k8s.io/api"),
            item("gopkg.in/yaml.v3", "gopkg.in/yaml.v3", "v3.0.1"),
            item("github.com/pulumi/pulumi/sdk/v3", "../sdk"),
        ]
    }
    assert upgrade._replacements(ours, theirs, "v1.36.2") == {
        "k8s.io/api": "k8s.io/api@v0.36.2",
        "github.com/a/clip": "github.com/b/clip@v1.0.0",
        "gopkg.in/yaml.v3": "gopkg.in/yaml.v3@v3.0.1",
    }
    assert upgrade._replacements({}, {}, "v1.0.0") == {}
