"""Where verbs print: results to stdout, progress and failures to stderr, plain where nobody watches."""

import sys

from rich.console import Console
from rich.markup import escape

from cli.failure import Failure

# rich honours NO_COLOR, TERM=dumb and a stream that is no terminal. Without a terminal it would wrap at 80 columns
# and so cut tables that a log can hold.
_PLAIN_WIDTH = 160


def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _PLAIN_WIDTH, highlight=False, soft_wrap=True)


def out() -> Console:
    """The console for results."""
    return _console(stderr=False)


def err() -> Console:
    """The console for progress and failures."""
    return _console(stderr=True)


def failure(problem: Failure) -> None:
    """Print a failure: the log's tail when there is one, then the message, then the fix."""
    console = err()
    for line in problem.tail:
        console.print(f"  [dim]{escape(line)}[/dim]")
    console.print(f"[bold red]error:[/bold red] {escape(problem.message)}")
    if problem.fix:
        console.print(f"[bold]fix:[/bold] {escape(problem.fix)}")
