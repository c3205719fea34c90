"""Pins another version of a tool: its go.mod and go.sum, made anew from what upstream's own go.mod says."""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toolchain import manifest, versions
from toolchain.build import Builder
from toolchain.commands import Commands
from toolchain.errors import ManifestError
from toolchain.installer import Paths
from toolchain.manifest import Tool
from toolchain.runtimes import Runtimes


def upgrade(
    name: str, version: str, *, paths: Paths, folder: Path = manifest.HERE, log: Callable[[str], None] = print
) -> None:
    """Pin `version` of the tool `name` in `folder`. Raises ToolchainError, with the files as they were."""
    [tool] = manifest.select(manifest.load(folder), [name])
    if versions.parse(version) is None or not version.startswith("v"):
        raise ManifestError(f"{version!r} is no released version", "write it as Go modules do, such as v1.2.3")
    commands = Commands(logs=paths.cache / "logs" / "toolchain")
    builder = Builder(paths.cache, commands, Runtimes(paths.cache, commands, log))
    # In a copy, so that a version that does not resolve leaves the pinned one alone.
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary) / tool.name
        work.mkdir()
        _start_module(tool, work)
        go = builder.go_in(tool, work, {"GOFLAGS": "-mod=mod"})
        upstream = json.loads(go("mod", "download", "-json", f"{tool.module}@{version}"))
        theirs = json.loads(go("mod", "edit", "-json", upstream["GoMod"]))
        ours = json.loads(go("mod", "edit", "-json", str(tool.folder / "go.mod")))
        replacements = _replacements(ours, theirs, version)
        _add_replacements(work / "go.mod", replacements)
        go("get", "-tool", *(f"{package}@{version}" for package in tool.packages.values()))
        go("mod", "tidy")
        for file in ("go.mod", "go.sum"):
            shutil.copyfile(work / file, tool.folder / file)
    log(f"{tool.name}: {tool.version} -> {version}")
    if tool.release_entry and version not in tool.release_entry["sha256"]:
        log(f"{tool.name}: add the sha256 of its release files to tools.toml; without them it is built")


def _start_module(tool: Tool, work: Path) -> None:
    text = f"// Pins {tool.name}; see ../../tools.toml.\nmodule toolchain/{tool.name}\n\ngo {tool.go}\n"
    (work / "go.mod").write_text(text, encoding="utf-8")


def _add_replacements(file: Path, replacements: Mapping[str, str]) -> None:
    lines = [f"\t{old} => {new.replace('@', ' ')}\n" for old, new in sorted(replacements.items())]
    if lines:
        with file.open("a", encoding="utf-8") as out:
            out.writelines(["\nreplace (\n", *lines, ")\n"])


def _replacements(ours: Mapping[str, Any], theirs: Mapping[str, Any], version: str) -> dict[str, str]:
    """The replacements that the new version needs: Go takes them from the main module only, never from a dependency.

    Kubernetes replaces its staging modules by folders of its repository; they are published as v0 of the same release.
    Other folders are dropped: what a module requires of its siblings is published too.
    """
    parsed = versions.parse(version)
    assert parsed is not None
    result = {
        item["Old"]["Path"]: f"{item['New']['Path']}@{item['New']['Version']}"
        for item in ours.get("Replace") or []
        if item["Old"]["Path"] != item["New"]["Path"]
    }
    for item in theirs.get("Replace") or []:
        old, new = item["Old"]["Path"], item["New"]
        if new.get("Version"):
            result[old] = f"{new['Path']}@{new['Version']}"
        elif old.startswith("k8s.io/"):
            result[old] = f"{old}@v0.{parsed.minor}.{parsed.patch}"
    return result
