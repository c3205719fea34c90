"""Writes the sha256 of a tool's release files into `tools.toml`, which is kept by hand otherwise."""

import re
from collections.abc import Mapping
from pathlib import Path

from toolchain import manifest
from toolchain.errors import ManifestError
from toolchain.manifest import ARCHITECTURES, Tool
from toolchain.release import Downloader

# By architecture: one sum, or one for each binary.
Sums = Mapping[str, str | Mapping[str, str]]


def ask(tool: Tool, downloader: Downloader, scratch: Path) -> Sums:
    """The sums that upstream publishes for the tool's files now. Raises DownloadFailed.

    `scratch` is a file to use. A sum that this host trusted before must still be the same.
    """
    sums: dict[str, str | Mapping[str, str]] = {}
    for architecture in ARCHITECTURES:
        each = {}
        for name, source in tool.published(architecture).items():
            each[name] = downloader.published(source, scratch)
            downloader.compare(source, each[name])
        if each:
            sums[architecture] = next(iter(each.values())) if len(each) == 1 else each
    return sums


def write(folder: Path, tool: Tool, sums: Sums) -> None:
    """Pin `sums` for the tool's version in `<folder>/tools.toml`, in place of older ones. Raises ManifestError."""
    path = folder / "tools.toml"
    text = path.read_text(encoding="utf-8")
    own = re.escape(f"[{tool.name}.release")
    # A table reaches to the next one's header; comments above that header belong to it.
    table = r".*\n(?:[^\n\[#].*\n|\n)*"
    kept = re.sub(rf"^{own}\.sha256{table}", "", text, flags=re.MULTILINE)
    fresh = re.sub(
        rf"^{own}\]{table}", lambda found: found[0].rstrip() + "\n\n" + _tables(tool, sums), kept, flags=re.M
    )
    path.write_text(fresh, encoding="utf-8")
    try:
        written = manifest.load(folder)[tool.name]
        if written.release_entry.get("sha256") == {tool.version: {name: _plain(one) for name, one in sums.items()}}:
            return
    except ManifestError:
        pass
    path.write_text(text, encoding="utf-8")
    raise ManifestError(
        f"{path}: {tool.name}.release: its sums cannot be written", f"write [{tool.name}.release] as the others are"
    )


def _plain(sums: str | Mapping[str, str]) -> str | dict[str, str]:
    return sums if isinstance(sums, str) else dict(sums)


def _tables(tool: Tool, sums: Sums) -> str:
    header = f'[{tool.name}.release.sha256."{tool.version}"'
    text, single = "", {name: one for name, one in sums.items() if isinstance(one, str)}
    if single:
        text += f"{header}]\n" + "".join(f'{name} = "{one}"\n' for name, one in single.items()) + "\n"
    for architecture, each in sums.items():
        if not isinstance(each, str):
            lines = "".join(f'{binary} = "{one}"\n' for binary, one in each.items())
            text += f"{header}.{architecture}]\n{lines}\n"
    return text
