"""Puts the Pulumi plugins where the command line looks: the official ones if they can be downloaded, else ours.

Resource plugins go to `$PULUMI_HOME/plugins`, the slot of the very version that the SDK asks for, so the command line
never tries to fetch one in the middle of a run. The language host goes beside the `pulumi` binary, as in the official
bundle; where that folder is not ours to write, it goes to the cache's `bin`, which is on PATH.
"""

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from settings import Paths, SettingsError

DOWNLOADS = "https://get.pulumi.com"
REACH_SECONDS = 5
DOWNLOAD_SECONDS = 300
PROVIDERS = ("aws", "kubernetes")

# Marks a launcher as ours, so that a later run can tell it from an official plugin.
MARK = "# The offline plugin of infra/plugins."
LAUNCHER = rf"""#!/bin/sh
{MARK} Remove this file to have the official one tried again.
: "${{ML_PLATFORM_PYTHON:?is not set: run  eval \"\$(scripts/env <cluster>)\"  first}}"
export PYTHONPATH="$ML_PLATFORM_ROOT/infra"
exec "$ML_PLATFORM_PYTHON" -P -m plugins PLUGIN "$@"
"""


@dataclass(frozen=True)
class Slot:
    """Where the command line looks for one resource plugin."""

    name: str
    version: str
    folder: Path

    @property
    def binary(self) -> Path:
        return self.folder / f"pulumi-resource-{self.name}"

    @property
    def official(self) -> bool:
        return self.binary.is_file() and MARK.encode() not in self.binary.read_bytes()[:500]


def home(paths: Paths) -> Path:
    """The folder for PULUMI_HOME: plugins only, all of which can be made again."""
    return paths.cache / "pulumi"


def slots(paths: Paths) -> list[Slot]:
    """One slot a provider, for the version of the SDK in this environment."""
    found = []
    for name in PROVIDERS:
        version = metadata.version(f"pulumi-{name}")
        found.append(Slot(name, version, home(paths) / "plugins" / f"resource-{name}-v{version}"))
    return found


def install(paths: Paths, environment: Mapping[str, str], report: Callable[[str], None]) -> None:
    """Make every plugin ready; instant when they are. `report` gets one line when ours are used for the first time.

    Raises SettingsError when `pulumi` is not installed.
    """
    pulumi = shutil.which("pulumi", path=environment.get("PATH"))
    if pulumi is None:
        raise SettingsError("pulumi is not installed; scripts/up installs it")
    _stop_logging(home(paths) / "logs")
    ours = _language_host(Path(pulumi).resolve().parent, paths)
    missing = [slot for slot in slots(paths) if not slot.binary.is_file()]
    if missing and _reachable():
        missing = [slot for slot in missing if not _download(slot, pulumi, environment)]
    for slot in slots(paths):
        if not slot.official:
            _write(slot.binary, LAUNCHER.replace("PLUGIN", slot.name))
    if missing:
        names = ", ".join(f"{slot.name} {slot.version}" for slot in missing)
        host = " and the Python language host" if ours else ""
        report(f"Pulumi's official plugins cannot be downloaded: using infra/plugins for {names}{host}")


def _stop_logging(folder: Path) -> None:
    """Keep the command line from logging every value it handles: megabytes and half its time, each run, unasked.

    It has no switch, but does without where it cannot make the folder.
    """
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()


def _language_host(beside: Path, paths: Paths) -> bool:
    """Install the language host unless the official bundle has it; says whether ours is used."""
    name = "pulumi-language-python"
    official = beside / name
    if official.is_file() and MARK.encode() not in official.read_bytes()[:500]:
        return False
    folder = beside if beside.is_relative_to(paths.cache.resolve()) else paths.bin
    _write(folder / name, LAUNCHER.replace("PLUGIN", "language"))
    return True


def _reachable() -> bool:
    try:
        with urllib.request.urlopen(DOWNLOADS, timeout=REACH_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, ValueError):
        return False


def _download(slot: Slot, pulumi: str, environment: Mapping[str, str]) -> bool:
    command = [pulumi, "plugin", "install", "resource", slot.name, slot.version]
    try:
        done = subprocess.run(command, env=dict(environment), capture_output=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and slot.binary.is_file()


def _write(path: Path, text: str) -> None:
    """Write an executable, whole or not at all, and only when it differs."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o755)
    partial.replace(path)
