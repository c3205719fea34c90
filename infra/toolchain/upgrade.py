"""Pins another version of a tool: its go.mod and go.sum, made anew from what upstream's own go.mod says.

Where upstream can be reached, the sums that it publishes of its release files are pinned too.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlplatform.toolchain import first_use
from mlplatform.toolchain.first_use import FirstUse
from toolchain import manifest, pins, versions
from toolchain.build import Builder
from toolchain.commands import Commands
from toolchain.errors import ManifestError, ToolchainError
from toolchain.installer import Paths
from toolchain.manifest import Tool
from toolchain.release import Downloader, DownloadFailed, Refused
from toolchain.runtimes import Runtimes


def upgrade(
    name: str, version: str, *, paths: Paths, folder: Path = manifest.HERE, log: Callable[[str], None] = print
) -> None:
    """Pin `version` of the tool `name` in `folder`. Raises ToolchainError, with the files as they were.

    With the version that is pinned already, only the sums of its release files are pinned.
    """
    [tool] = manifest.select(manifest.load(folder), [name])
    if versions.parse(version) is None or not version.startswith("v"):
        raise ManifestError(f"{version!r} is no released version", "write it as Go modules do, such as v1.2.3")
    new = replace(tool, version=version)
    sums = _published(new, paths, log)
    if version != tool.version:
        _pin_module(tool, version, paths, log)
    if sums:
        pins.write(folder, new, sums)
        log(f"{name}: pinned the sums that upstream publishes of its release files")


def _pin_module(tool: Tool, version: str, paths: Paths, log: Callable[[str], None]) -> None:
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


def _published(tool: Tool, paths: Paths, log: Callable[[str], None]) -> pins.Sums:
    """What upstream says of its release files; nothing, and a line that says why, where it cannot be asked."""
    if not tool.release_entry.get("checksums"):
        log(f"{tool.name}: tools.toml names no place where upstream publishes sums, so there are none to pin")
        return {}
    downloader = Downloader(first_use=FirstUse(paths.state / first_use.FILE))
    try:
        with tempfile.TemporaryDirectory() as temporary:
            return pins.ask(tool, downloader, Path(temporary) / "checksums")
    except Refused as error:
        raise ToolchainError(f"{tool.name}: {error.message}", "nothing was changed") from None
    except DownloadFailed as error:
        log(
            f"{tool.name}: the sums of its release files are not pinned ({error.message}): until this is run where "
            "upstream can be reached, each host trusts what it sees first"
        )
        return {}


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
