"""Errors that end a job with one clear message."""

import sys
from collections.abc import Callable
from typing import NoReturn

from forge import ForgeError


class Failure(Exception):
    """Something that whoever reads the job's log can put right; the message says how."""


class Unacceptable(Failure):
    """Something that the author of a commit can put right: it fails their gate; any other failure fails the job."""


def run(main: Callable[[], None]) -> NoReturn:
    """Run a job's `main` and exit: 0 when it returns, 2 with one message and no traceback on a `Failure`."""
    # A job's log is a pipe: without this, output of child processes would overtake ours.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        main()
    except (Failure, ForgeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
