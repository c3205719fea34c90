"""Errors that a user can mend, and how a command reports them."""

import sys
from collections.abc import Callable


class UserError(Exception):
    """Input that cannot be used. The message names the file, the key or value, and what would work."""


def run(command: Callable[[], None]) -> None:
    """Run a command; a `UserError` becomes one line on stderr and exit code 2 instead of a traceback."""
    try:
        command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
