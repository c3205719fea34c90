"""Live rows on a terminal: a spinner, the tool, what is done with it and for how long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table


@contextmanager
def shown(
    at_work: Callable[[], list[tuple[str, str, float]]], count: Callable[[], str]
) -> Iterator[Callable[[str], None]]:
    """Keep a row for each tool that `at_work` names on stderr, below how many are left.

    Yields a function that prints a line above them.
    """
    console = Console(stderr=True, highlight=False)
    spinners: dict[str, Spinner] = {}

    def rows() -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_row("", "tools", count())
        for name, doing, seconds in at_work():
            # One spinner a tool: a fresh one would always show its first picture.
            table.add_row(spinners.setdefault(name, Spinner("dots")), name, doing, f"{seconds:.0f} s")
        return table

    with Live(get_renderable=rows, console=console, refresh_per_second=8, transient=True):
        yield lambda text: console.print(text, markup=False)
