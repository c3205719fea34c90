"""Sums that upstream publishes come into tools.toml, in place of older ones, and nothing else there changes."""

import hashlib
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlplatform.toolchain.first_use import FILE, FirstUse
from toolchain import manifest, pins, upgrade
from toolchain.errors import ManifestError, ToolchainError


@pytest.mark.parametrize("name", [name for name, tool in manifest.load().items() if tool.release_entry])
def test_the_sums_of_every_tool_can_be_written(tmp_path: Path, name: str) -> None:
    shutil.copytree(manifest.HERE / "go", tmp_path / "go")
    shutil.copyfile(manifest.HERE / "tools.toml", tmp_path / "tools.toml")
    tool = replace(manifest.load(tmp_path)[name], version="v9.8.7")
    go_mod = tmp_path / "go" / name / "go.mod"
    go_mod.write_text(
        go_mod.read_text().replace(f"{tool.module} {manifest.load()[name].version}", f"{tool.module} v9.8.7")
    )
    before = tomllib.loads((tmp_path / "tools.toml").read_text())

    def sums(architecture: str) -> Any:
        each = {file: hashlib.sha256(f"{architecture}{file}".encode()).hexdigest() for file in tool.published("amd64")}
        return each if len(each) > 1 else next(iter(each.values()))

    wanted = {architecture: sums(architecture) for architecture in manifest.ARCHITECTURES}
    for _ in range(2):
        pins.write(tmp_path, tool, wanted)
        after = tomllib.loads((tmp_path / "tools.toml").read_text())
        assert after[name]["release"].pop("sha256") == {"v9.8.7": wanted}
        expected = tomllib.loads((manifest.HERE / "tools.toml").read_text())
        expected[name]["release"].pop("sha256", None)
        assert after == expected
    text = (tmp_path / "tools.toml").read_text()
    assert "\n\n\n" not in text
    shipped = (manifest.HERE / "tools.toml").read_text().splitlines()
    assert [line for line in shipped if line.startswith("#")] == [line for line in text.splitlines() if line[:1] == "#"]
    assert before[name].get("accepts") == after[name].get("accepts")
    released = manifest.load(tmp_path)[name].release("arm64")
    assert released is not None
    assert all(file.sha256 for file in released.files.values())


def test_a_manifest_of_another_style_stays_as_it_is(write_toolchain: Callable[..., Path]) -> None:
    folder = write_toolchain(text='[hello]\nrelease = { url = "https://x/{arch}", checksums = "{url}.sha256" }\n')
    before = (folder / "tools.toml").read_text()
    [hello] = manifest.load(folder).values()
    with pytest.raises(ManifestError, match=r"hello\.release: its sums cannot be written; write \[hello\.release\] as"):
        pins.write(folder, hello, {"amd64": "1" * 64})
    assert (folder / "tools.toml").read_text() == before


@pytest.fixture
def unpinned(write_toolchain: Callable[..., Path], tls_upstream: Any, archive: Any) -> Path:
    tls_upstream.files["/sums.txt"] = archive.sums()
    return write_toolchain(tls_upstream.url, checksums=f"{tls_upstream.url}/sums.txt")


def test_an_upgrade_to_the_pinned_version_pins_the_sums_that_upstream_publishes(
    unpinned: Path, archive: Any, places: Any, tls_upstream: Any
) -> None:
    said: list[str] = []
    upgrade.upgrade("hello", "v1.2.3", paths=places, folder=unpinned, log=said.append)
    release = manifest.load(unpinned)["hello"].release("arm64")
    assert release is not None
    assert release.files["*"].sha256 == archive.sha256
    assert said == ["hello: pinned the sums that upstream publishes of its release files"]
    assert set(tls_upstream.requests) == {"/sums.txt"}


def test_a_sum_that_is_not_the_one_trusted_before_is_not_pinned(unpinned: Path, places: Any, tls_upstream: Any) -> None:
    url = f"{tls_upstream.url}/hello_1.2.3_arm64.tar.gz"
    FirstUse(places.state / FILE).record(url, "9" * 64, "upstream")
    before = (unpinned / "tools.toml").read_text()
    with pytest.raises(ToolchainError, match=r"not 9{12}\.\.\. as on its first use .*; nothing was changed"):
        upgrade.upgrade("hello", "v1.2.3", paths=places, folder=unpinned, log=pytest.fail)
    assert (unpinned / "tools.toml").read_text() == before


def test_without_upstream_the_sums_stay_unpinned_and_one_line_says_so(
    unpinned: Path, places: Any, tls_upstream: Any
) -> None:
    tls_upstream.files.clear()
    said: list[str] = []
    upgrade.upgrade("hello", "v1.2.3", paths=places, folder=unpinned, log=said.append)
    [line] = said
    assert "are not pinned" in line
    assert "answered 404" in line
    assert manifest.load(unpinned)["hello"].release_entry.get("sha256") is None
