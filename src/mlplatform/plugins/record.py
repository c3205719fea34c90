"""Which plugins wrote a stack's state: a tag of the stack, which its backend keeps beside the state."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from settings import SettingsError

TAG = "ml-platform:plugins"
OFFICIAL, OFFLINE = "official", "offline"
SOURCES = (OFFICIAL, OFFLINE)
SECONDS = 120
_ENTRY = re.compile(r"([a-z][a-z0-9-]*)=(official|offline)@([0-9A-Za-z.+-]+)")


@dataclass(frozen=True, order=True)
class Plugin:
    """A resource plugin: `source` is where it comes from, Pulumi (`official`) or infra/plugins (`offline`)."""

    name: str
    source: str
    version: str

    def __str__(self) -> str:
        return f"the {self.source} {self.name} {self.version}"


def encode(plugins: Iterable[Plugin]) -> str:
    """The tag's value."""
    return " ".join(f"{one.name}={one.source}@{one.version}" for one in sorted(plugins))


def decode(text: str) -> frozenset[Plugin]:
    """The plugins that a tag's value names; what is none of its entries is left out."""
    found = (_ENTRY.fullmatch(word) for word in text.split())
    return frozenset(Plugin(match[1], match[2], match[3]) for match in found if match)


def changes(before: Iterable[Plugin], now: Iterable[Plugin]) -> list[str]:
    """What a change of plugins comes to, one line each; nothing where they are the same."""
    old, new = {one.name: one for one in before}, {one.name: one for one in now}
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"{name}: nothing says which plugin wrote its part of the state; it is {new[name]} now")
        elif name in new and old[name] != new[name]:
            lines.append(f"{name}: {old[name]} wrote its part of the state; it is {new[name]} now")
    return lines


def sources(plugins: Iterable[Plugin]) -> dict[str, str]:
    """Where each plugin came from, by its name."""
    return {one.name: one.source for one in plugins}


@dataclass(frozen=True)
class Record:
    """The record of the stack that the variables select, by the command line; `root` is the checkout."""

    variables: Mapping[str, str]
    root: Path

    def read(self) -> frozenset[Plugin]:
        """The plugins that wrote the state; none where nothing says so, above all where there is no stack."""
        done = self._pulumi("get", TAG)
        return decode(done.stdout) if done.returncode == 0 else frozenset()

    def write(self, plugins: Iterable[Plugin]) -> None:
        """Remember `plugins`. Raises SettingsError where the backend does not take it."""
        done = self._pulumi("set", TAG, encode(plugins))
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[:500]
            raise SettingsError(
                f"the backend does not keep which plugins write the state: {said}; try again, and where access is"
                " denied, bring the account to what infra/bootstrap says"
            )

    def _pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", "stack", "tag", *arguments, "--non-interactive"]
        try:
            return subprocess.run(
                command, cwd=self.root, env=dict(self.variables), capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise SettingsError(f"pulumi stack tag took longer than {SECONDS} s; check the network") from None
        except OSError as error:
            raise SettingsError(f"pulumi cannot be started ({error.strerror}); scripts/up installs it") from None
