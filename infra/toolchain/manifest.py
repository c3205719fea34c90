"""The pinned tools: `tools.toml` says how each is obtained, `go/<tool>/go.mod` which version."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain import versions
from toolchain.errors import ManifestError

HERE = Path(__file__).resolve().parent

# Flags that every build shares. A change here makes every cached build stale, as it should.
BUILD_FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false")
LINK_FLAGS = ("-s", "-w")
# C is SQLite, in one file: with Go's own default (-g -O2) it takes the compiler three times as long, on one core.
C_FLAGS = ("-O1",)

ARCHITECTURES = ("amd64", "arm64")
_KEYS = {"accepts", "version-arguments", "ldflags", "tags", "cgo", "copy", "web-assets", "release", "no-release"}
_RELEASE_KEYS = {"url", "architectures", "checksums", "self-contained", "sha256"}
_ARCHIVES = (".tar.gz", ".tgz", ".tar.xz")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ReleaseFile:
    """One of upstream's files. Where no sha256 is pinned, it is the one that upstream publishes at `checksums`."""

    url: str
    sha256: str = ""
    checksums: str = ""


@dataclass(frozen=True)
class Release:
    """Upstream's files for one version, by the binary that each is; `*` is an archive with all of them."""

    files: Mapping[str, ReleaseFile]


@dataclass(frozen=True)
class Tool:
    """One entry of the manifest, with the version that its `go.mod` pins."""

    name: str
    version: str
    module: str
    packages: Mapping[str, str]
    go: versions.Version
    folder: Path
    accepts: str
    version_arguments: Mapping[str, tuple[str, ...]]
    ldflags: tuple[str, ...]
    tags: tuple[str, ...]
    cgo: bool
    copy: Mapping[str, str]
    web_assets: bool
    release_entry: Mapping[str, Any]
    no_release: str
    recipe: str

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(self.packages)

    def arguments_for_version(self, binary: str) -> tuple[str, ...]:
        """The arguments that make `binary` print its version."""
        return self.version_arguments.get(binary) or self.version_arguments["*"]

    @property
    def release_is_whole(self) -> bool:
        """Whether the release's binary holds what `copy` puts beside a built one."""
        return bool(self.release_entry.get("self-contained", False))

    def release(self, architecture: str) -> Release | None:
        """Upstream's release files; None where no sum of them is known for this version and architecture."""
        known = self.release_entry.get("sha256", {}).get(self.version, {}).get(architecture)
        if known:
            sums = known if isinstance(known, dict) else dict.fromkeys(self._release_names(), known)
            files = {name: ReleaseFile(self._release_url(architecture, name), sum_) for name, sum_ in sums.items()}
        elif self.release_entry.get("checksums") and architecture in ARCHITECTURES:
            files = self.published(architecture)
        else:
            return None
        return Release(files)

    def published(self, architecture: str) -> dict[str, ReleaseFile]:
        """The release files and where upstream publishes their sums, whatever is pinned; empty where it does not."""
        files = {}
        for name in self._release_names() if self.release_entry.get("checksums") else ():
            url = self._release_url(architecture, name)
            files[name] = ReleaseFile(url, checksums=self._release_url(architecture, name, "checksums", url))
        return files

    def _release_names(self) -> tuple[str, ...]:
        url: str = self.release_entry["url"]
        return ("*",) if url.endswith(_ARCHIVES) else self.binaries

    def _release_url(self, architecture: str, binary: str, key: str = "url", url: str = "") -> str:
        spelled = self.release_entry.get("architectures", {}).get(architecture, architecture)
        number = self.version.removeprefix("v")
        address: str = self.release_entry[key].format(
            version=self.version, number=number, arch=spelled, binary=binary, url=url
        )
        return address


def load(folder: Path = HERE) -> dict[str, Tool]:
    """Read `tools.toml` and the `go.mod` files below `folder`, in the file's order. Raises ManifestError."""
    path = folder / "tools.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})", "restore it from git") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: is not valid TOML ({error})", "correct the syntax there") from None
    return {name: _tool(name, entry, folder / "go" / name, path) for name, entry in document.items()}


def select(tools: Mapping[str, Tool], names: Iterable[str] | None) -> list[Tool]:
    """The named tools (all for None) in the order given. A binary's name stands for its tool. Raises ManifestError."""
    if names is None:
        return list(tools.values())
    owners = {binary: tool for tool in tools.values() for binary in tool.binaries} | dict(tools)
    chosen: dict[str, Tool] = {}
    for name in names:
        if name not in owners:
            raise ManifestError(f"there is no tool {name!r}", f"known tools: {', '.join(tools)}")
        chosen[owners[name].name] = owners[name]
    return list(chosen.values())


def _tool(name: str, entry: Any, folder: Path, path: Path) -> Tool:
    def wrong(key: str, problem: str, fix: str) -> ManifestError:
        return ManifestError(f"{path}: {name}.{key}: {problem}", fix)

    if not isinstance(entry, dict):
        raise ManifestError(f"{path}: {name}: is no table", f"write [{name}]")
    for key in sorted(set(entry) - _KEYS):
        raise wrong(key, "unknown key", f"known keys: {', '.join(sorted(_KEYS))}")
    arguments = entry.get("version-arguments", ["--version"])
    if isinstance(arguments, list):
        arguments = {"*": arguments}
    release = entry.get("release", {})
    if release and "no-release" in entry:
        raise wrong("no-release", "contradicts the release beside it", "keep one of them")
    _check_release(release, wrong)
    module = _GoModule.read(folder / "go.mod")
    values = _version_values(module.version, folder / "go.mod")
    accepted = entry.get("accepts", "").format(**values)
    if accepted:
        try:
            versions.accepts(accepted, versions.Version(0, 0, 1))
        except ValueError as error:
            raise wrong("accepts", str(error), "or leave the key out to take none from PATH") from None
    ldflags = tuple(flag.format(**values) for flag in entry.get("ldflags", []))
    packages = {name if len(module.packages) == 1 else _last(package): package for package in module.packages}
    if release and len(packages) > 1 and "{binary}" not in release["url"] and not release["url"].endswith(_ARCHIVES):
        raise wrong("release.url", "names one file for several binaries", "write {binary} where their names go")
    return Tool(
        name=name,
        version=module.version,
        module=module.path,
        packages=packages,
        go=module.go,
        folder=folder,
        accepts=accepted,
        version_arguments={binary: tuple(words) for binary, words in arguments.items()},
        ldflags=ldflags,
        tags=tuple(entry.get("tags", [])),
        cgo=entry.get("cgo", False),
        copy=entry.get("copy", {}),
        web_assets=entry.get("web-assets", False),
        release_entry=release,
        no_release=entry.get("no-release", ""),
        recipe=_recipe(folder, entry),
    )


def _check_release(release: Any, wrong: Any) -> None:
    if not isinstance(release, dict):
        raise wrong("release", "is no table", "write url and checksums below it, or the reason as no-release")
    for key in sorted(set(release) - _RELEASE_KEYS):
        raise wrong(f"release.{key}", "unknown key", f"known keys: {', '.join(sorted(_RELEASE_KEYS))}")
    if release and not str(release.get("url", "")).startswith(("https://", "http://")):
        raise wrong("release.url", "is missing or no URL", "write upstream's address with {version}, {arch}, {binary}")
    # A sum that is trusted without being pinned must at least come from upstream itself.
    if not str(release.get("checksums", "https://")).startswith(("https://", "{url}")):
        raise wrong("release.checksums", "is no https:// URL", "write where upstream publishes its sums")
    if "checksums" in release and not str(release["url"]).startswith("https://"):
        raise wrong("release.url", "is no https:// URL", "checksums asks for one")
    for version, sums in release.get("sha256", {}).items():
        for architecture, known in sums.items():
            key = f"release.sha256.{version}.{architecture}"
            if architecture not in ARCHITECTURES:
                raise wrong(key, "unknown architecture", f"use {' or '.join(ARCHITECTURES)}")
            for sha256 in known.values() if isinstance(known, dict) else [known]:
                if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
                    raise wrong(key, f"{sha256!r} is no sha256", "write 64 lower-case hexadecimal digits")


def _version_values(version: str, path: Path) -> dict[str, str]:
    parsed = versions.parse(version)
    if not parsed:
        raise ManifestError(f"{path}: {version} is no released version", "require one such as v1.2.3")
    return {
        "version": version,
        "number": version.removeprefix("v"),
        "major": str(parsed.major),
        "minor": str(parsed.minor),
    }


def _recipe(folder: Path, entry: Mapping[str, Any]) -> str:
    """Names what an installed copy was made from: the pinned modules and everything of the entry that shapes it."""
    digest = hashlib.sha256()
    for file in ("go.mod", "go.sum"):
        path = folder / file
        digest.update(path.read_bytes() if path.exists() else b"")
    apart = {"accepts", "version-arguments", "release", "no-release"}
    shaping = {key: value for key, value in entry.items() if key not in apart}
    release = entry.get("release", {})
    if "sha256" in release:
        # Pinned sums count: a copy that was trusted without them is obtained again. Where they come from does not.
        shaping["release"] = {key: release[key] for key in ("url", "architectures", "sha256") if key in release}
    flags = [BUILD_FLAGS, LINK_FLAGS, *([C_FLAGS] if entry.get("cgo") else [])]
    digest.update(json.dumps([*flags, shaping], sort_keys=True).encode())
    return digest.hexdigest()


def _last(package: str) -> str:
    """A command's name by Go's rule: the last element of its path that is no major version."""
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


@dataclass(frozen=True)
class _GoModule:
    path: str
    version: str
    packages: tuple[str, ...]
    go: versions.Version

    @classmethod
    def read(cls, file: Path) -> "_GoModule":
        """The packages that a go.mod's `tool` lines name, and the required module that holds them."""
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            fix = "add a module with `go get -tool PACKAGE@VERSION`"
            raise ManifestError(f"{file}: cannot be read ({error.strerror})", fix) from None
        lines = list(_directives(text))
        packages = tuple(words[1] for words in lines if words[0] == "tool")
        required = {words[1]: words[2] for words in lines if words[0] == "require"}
        go = next((versions.parse(words[1]) for words in lines if words[0] == "go"), None)
        owners = {_owner(package, required) for package in packages}
        if not packages or len(owners) != 1 or None in owners or go is None:
            fix = "name with `tool` the packages of one required module, and state `go`"
            raise ManifestError(f"{file}: pins no tool", fix)
        path = owners.pop()
        assert path is not None
        return cls(path=path, version=required[path], packages=packages, go=go)


def _directives(text: str) -> Iterable[list[str]]:
    """The directives of a go.mod as words, with each line of a block led by the block's keyword."""
    block = ""
    for line in text.splitlines():
        words = line.split("//")[0].split()
        if not words:
            continue
        if words == [")"]:
            block = ""
        elif words[-1] == "(":
            block = words[0]
        else:
            yield [block, *words] if block else words


def _owner(package: str, required: Mapping[str, str]) -> str | None:
    """The required module that holds `package`: the longest one that is a prefix of its path."""
    holding = [path for path in required if package == path or package.startswith(f"{path}/")]
    return max(holding, key=len, default=None)
