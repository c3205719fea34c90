"""Says what the toolchain is doing: a line when a tool starts and ends, and live rows on a terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Log = Callable[[str], None]


class Progress:
    """One line an event through `log`. Without `log`, to stderr, where a terminal also gets a live row for each tool."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or self._plain
        self._live = log is None and sys.stderr.isatty()
        self._begun: dict[str, tuple[str, float]] = {}
        self._guard = threading.Lock()

    def line(self, text: str) -> None:
        """Say something that is worth a line of its own."""
        self._log(text)

    @contextmanager
    def tool(self, name: str, doing: str) -> Iterator[None]:
        """Say that work on a tool starts, and when it has ended well, with its seconds."""
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
        self.line(f"{name}: done in {time.monotonic() - begun:.0f} s")

    @contextmanager
    def live(self) -> Iterator[None]:
        """While the block runs, keep the rows of the tools at work on the terminal."""
        if not self._live:
            yield
            return
        # rich costs more to import than everything else here, and most runs have nothing to show.
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, highlight=False)
        self._log = lambda text: console.print(text, markup=False)
        try:
            with Live(get_renderable=self._rows, console=console, refresh_per_second=8, transient=True):
                yield
        finally:
            self._log = self._plain

    def _rows(self) -> object:
        from rich.spinner import Spinner
        from rich.table import Table

        rows = Table.grid(padding=(0, 1))
        now = time.monotonic()
        with self._guard:
            current = list(self._begun.items())
        for name, (doing, begun) in current:
            rows.add_row(self._spinner(name, Spinner), name, doing, f"{now - begun:.0f} s")
        return rows

    def _spinner(self, name: str, kind: type) -> object:
        if not hasattr(self, "_spinners"):
            self._spinners: dict[str, object] = {}
        return self._spinners.setdefault(name, kind("dots"))

    @staticmethod
    def _plain(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
