"""Puts the Pulumi plugins where the command line looks: the official ones if they can be downloaded, else ours.

Once a choice was made, by a stack's record or for an earlier version on this host, it holds: neither a connection nor
an upgrade of an SDK changes it, only whoever asks for the other (`scripts/up --plugins`).

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

from mlplatform.plugins.record import OFFICIAL, OFFLINE, Plugin, sources
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
        return self.source == OFFICIAL

    @property
    def source(self) -> str | None:
        """Where the plugin in the slot comes from; None where there is none."""
        return _source(self.binary)

    @property
    def earlier(self) -> str | None:
        """Where the plugin of another version that came last comes from; None where there is none."""
        binaries = self.folder.parent.glob(f"resource-{self.name}-v*/{self.binary.name}")
        others = [path for path in binaries if path.parent != self.folder]
        # A plugin's own time is when upstream built it.
        return _source(max(others, key=lambda path: path.stat().st_ctime)) if others else None


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


def plugins(paths: Paths) -> frozenset[Plugin]:
    """The resource plugins that are in place, as the stack's record names them."""
    return frozenset(Plugin(slot.name, slot.source, slot.version) for slot in slots(paths) if slot.source)


def install(
    paths: Paths,
    environment: Mapping[str, str],
    report: Callable[[str], None],
    *,
    asked: str | None = None,
    remembered: Callable[[], frozenset[Plugin]] = frozenset,
) -> None:
    """Make every plugin ready; instant when they are. `report` gets one line when ours are used for the first time.

    `asked` is `official` or `offline` where somebody wants these in place of what is there; `remembered` looks up what
    wrote the stack's state, for slots that are empty. Raises SettingsError when `pulumi` is not installed, and when
    official plugins are asked for that cannot be downloaded.
    """
    pulumi = shutil.which("pulumi", path=environment.get("PATH"))
    if pulumi is None:
        raise SettingsError("pulumi is not installed; scripts/up installs it")
    _stop_logging(home(paths) / "logs")
    ours = _language_host(Path(pulumi).resolve().parent, paths)
    missing = [slot for slot in slots(paths) if slot.source is None or (asked and slot.source != asked)]
    if missing:
        before = {} if asked else sources(remembered())
        wanted = {slot.name: asked or before.get(slot.name) or slot.earlier for slot in missing}
        online = any(wanted[slot.name] != OFFLINE for slot in missing) and _reachable()
        kept, failed = [], []
        for slot in missing:
            if wanted[slot.name] == OFFLINE:
                kept.append(slot)
            elif not (online and _download(slot, pulumi, environment)):
                failed.append(slot)
        for slot in [*kept, *failed]:
            _put_ours(slot)
        if failed and asked:
            raise SettingsError(
                f"--plugins official: {_named(failed)} cannot be downloaded from {DOWNLOADS}; the plugins that are here"
                " stay in use: check the network, or leave the option out"
            )
        host = " and the Python language host" if ours else ""
        if failed:
            report(f"Pulumi's official plugins cannot be downloaded: using infra/plugins for {_named(failed)}{host}")
        if kept:
            why = "as asked" if asked else "as before; scripts/up --plugins official changes that"
            report(f"Using infra/plugins in place of Pulumi's official plugins for {_named(kept)}{host}, {why}")
    for slot in slots(paths):
        if not slot.official:
            _write(slot.binary, LAUNCHER.replace("PLUGIN", slot.name))


def _named(slots: list[Slot]) -> str:
    return ", ".join(f"{slot.name} {slot.version}" for slot in slots)


def _source(binary: Path) -> str | None:
    if not binary.is_file():
        return None
    with binary.open("rb") as file:
        return OFFLINE if MARK.encode() in file.read(500) else OFFICIAL


def _put_ours(slot: Slot) -> None:
    """Ours in place of whatever is in the slot."""
    if slot.official:
        shutil.rmtree(slot.folder)
    _write(slot.binary, LAUNCHER.replace("PLUGIN", slot.name))


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
    """Put the official plugin into the slot; where that fails, what was in it stays."""
    # Over a plugin that is there, the command line does nothing unless it is told to.
    command = [pulumi, "plugin", "install", "resource", slot.name, slot.version, "--reinstall"]
    try:
        done = subprocess.run(command, env=dict(environment), capture_output=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and slot.official


def _write(path: Path, text: str) -> None:
    """Write an executable, whole or not at all, and only when it differs."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o755)
    partial.replace(path)
