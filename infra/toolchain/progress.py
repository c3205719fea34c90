"""Says what the toolchain is doing: a line when a tool starts and ends, and live rows on a terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Log = Callable[[str], None]


class Progress:
    """One line an event through `log`; without it to stderr, where a terminal also gets a live row for each tool."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or _plain
        self._live = log is None and sys.stderr.isatty()
        self._begun: dict[str, tuple[str, float]] = {}
        self._left = self._total = 0
        self._guard = threading.Lock()

    def begin(self, left: int, total: int) -> None:
        """From now on say with each line how many of the `total` tools are left."""
        self._left, self._total = left, total

    def ready(self) -> None:
        """One more tool is ready without work of ours."""
        with self._guard:
            self._left -= 1

    def count(self) -> str:
        """How far the tools are, such as `6 of 13 left`; empty before `begin`."""
        with self._guard:
            left, total = self._left, self._total
        return f"{left} of {total} left" if left else f"all {total} ready" if total else ""

    def line(self, text: str) -> None:
        """Say something that is worth a line of its own."""
        count = self.count()
        self._log(f"{count}, {text}" if count else text)

    def warn(self, text: str) -> None:
        """Say what the user should see even where lines come and go."""
        self._log(f"warning: {text}")

    @contextmanager
    def tool(self, name: str, doing: str) -> Iterator[None]:
        """Say that work on a tool starts, and when it has ended well, with its seconds: the tool is ready then."""
        begun = time.monotonic()
        if not self._live:
            self.line(f"{name}: {doing} ...")
        with self._guard:
            self._begun[name] = (doing, begun)
        try:
            yield
        finally:
            with self._guard:
                del self._begun[name]
        self.ready()
        # Whoever shows the last line alone must not take the others for done.
        still = "" if self._live else "".join(f"; still {other}: {what}" for other, what, _ in self.at_work())
        self.line(f"{name}: {doing}: done in {time.monotonic() - begun:.0f} s{still}")

    def at_work(self) -> list[tuple[str, str, float]]:
        """The tools at work: name, what is done, and for how many seconds."""
        now = time.monotonic()
        with self._guard:
            return [(name, doing, now - begun) for name, (doing, begun) in self._begun.items()]

    @contextmanager
    def live(self) -> Iterator[None]:
        """While the block runs, keep the rows of the tools at work on the terminal."""
        if not self._live:
            yield
            return
        from toolchain import rows  # noqa: PLC0415 - rich costs more than the rest here; most runs have nothing to show

        with rows.shown(self.at_work, self.count) as self._log:
            yield
        self._log = _plain


def _plain(text: str) -> None:
    # In one piece: two tools are at work at once.
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
