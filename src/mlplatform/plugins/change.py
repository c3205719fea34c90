"""A change of plugins goes on with a stack's state only where nothing would be replaced or deleted.

Another plugin may see a difference in everything that the first one wrote, and an update that nobody looks at would
carry that out. So the state is refreshed in memory, the update previewed and judged; only then is the refreshed state
kept, and the new plugins with it.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.plugins import record
from mlplatform.plugins.record import Plugin, Record
from settings import SettingsError

# Runs `pulumi` with arguments on the stack; raises what its caller expects when that fails.
Run = Callable[[list[str]], object]
Say = Callable[[str], None]

# Without it the command line does not know --event-log.
RECORDING = {"PULUMI_DEBUG_COMMANDS": "true"}
# The engine's steps, in words; those without a word change nothing.
WORDS = {
    "create": "create",
    "import": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "import-replacement": "replace",
    "delete-replaced": "replace",
    "discard-replaced": "replace",
    "delete": "delete",
    "discard": "delete",
}
HARM = ("replace", "delete")
MOST = 20


class Refused(SettingsError):
    """The plugins in use would replace or delete what others made."""


@dataclass(frozen=True)
class Preview:
    """What an update would do: a word by URN, without what stays as it is."""

    steps: Mapping[str, str] = field(default_factory=dict)

    @property
    def harm(self) -> list[str]:
        """What would be replaced or deleted, one line each."""
        return [line for line, word in self._lines() if word in HARM]

    @property
    def lines(self) -> list[str]:
        """All that would be done, one line each, the worst first."""
        return [line for line, _ in sorted(self._lines(), key=lambda one: one[1] not in HARM)]

    def _lines(self) -> list[tuple[str, str]]:
        return [(f"{word} {_shown(urn)}", word) for urn, word in self.steps.items()]


def read_events(lines: Iterable[str]) -> Preview:
    """The preview that the engine's own record (`--event-log`) describes. A line that is cut off is skipped."""
    steps: dict[str, str] = {}
    for line in lines:
        try:
            event: Any = json.loads(line)
        except ValueError:
            continue
        metadata = (event.get("resourcePreEvent") or {}).get("metadata") or {} if isinstance(event, dict) else {}
        word = WORDS.get(str(metadata.get("op", "")))
        urn = str(metadata.get("urn", ""))
        if word and steps.get(urn) not in HARM:
            steps[urn] = word
    return Preview(steps)


def preview(run: Run) -> Preview:
    """What an update would do to the stack after a refresh, of which nothing is kept."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-preview-") as folder:
        events = Path(folder, "events")
        run(["preview", "--refresh", f"--event-log={events}"])
        return read_events(events.read_text(encoding="utf-8", errors="replace").splitlines())


def settle(stack: Record, now: Iterable[Plugin], run: Run, say: Say) -> bool:
    """Make sure that the plugins `now` may go on with the stack's state, and have it remember them.

    Returns whether they are others than before. `run` gets the variables of `RECORDING` besides the stack's. Raises
    Refused, with the state as it was, where anything would be replaced or deleted.
    """
    plugins = frozenset(now)
    changed = record.changes(stack.read(), plugins)
    if not changed:
        return False
    for line in changed:
        say(f"Pulumi's plugin for {line}")
    say("Looking first at what that would change")
    found = preview(run)
    tell(found, say)
    if found.harm:
        raise Refused(refusal(changed, found))
    run(["refresh", "--yes", "--skip-preview"])
    stack.write(plugins)
    return True


def tell(found: Preview, say: Say) -> None:
    """Show a preview."""
    lines = found.lines
    for line in lines[:MOST]:
        say(f"  {line}")
    if len(lines) > MOST:
        say(f"  and {len(lines) - MOST} more")
    if not lines:
        say("  it changes nothing")


def refusal(changed: list[str], found: Preview) -> str:
    """Why a change of plugins is not carried out, and what to do."""
    count = len(found.harm)
    more = f" and {count - 3} more" if count > 3 else ""
    return (
        f"Pulumi's plugin for {'; for '.join(changed)}. With that, {count} resource{'s' if count > 1 else ''} would be"
        f" replaced or deleted: {', '.join(found.harm[:3])}{more}. Nothing was changed. Take the plugins of before"
        " (scripts/up --plugins official or offline, the commit before an upgrade of them), or, where this is what you"
        ' want, look at all of it and carry it out by hand: eval "$(scripts/env STACK)" && pulumi up --refresh'
    )


def _shown(urn: str) -> str:
    """A URN for people: the type and the name."""
    parts = urn.split("::", 3)
    return f"{parts[2].rpartition('$')[2]} {parts[3]}" if len(parts) == 4 else urn
