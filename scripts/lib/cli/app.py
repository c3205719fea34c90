"""What every verb does alike: parse arguments, run, and turn whatever goes wrong into one clear message."""

import argparse
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from types import FrameType

from cli import console
from cli.failure import BadInput, Failure, Interrupted
from settings import Cluster, SettingsError, load_local

Action = Callable[[argparse.Namespace], int]


def parser(verb: str, description: str) -> argparse.ArgumentParser:
    """An argument parser that calls itself by the verb's path and knows no abbreviations (they would break later)."""
    return argparse.ArgumentParser(
        prog=f"scripts/{verb}",
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit status: 0 done, 1 failed, 2 bad input, 130 interrupted",
    )


def run(arguments: argparse.ArgumentParser, action: Action, argv: Sequence[str] | None = None) -> int:
    """Parse `argv`, run `action` and return the exit status. Prints failures to stderr, never a traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return action(arguments.parse_args(argv))
    except Failure as failure:
        console.failure(failure)
        return failure.code
    except SettingsError as error:
        console.failure(BadInput(str(error)))
        return BadInput.code
    except (KeyboardInterrupt, Interrupted) as interrupt:
        console.failure(Failure("interrupted", "run it again: it goes on from where it was"))
        return interrupt.code if isinstance(interrupt, Interrupted) else 130
    except BrokenPipeError:
        # The reader (head, less) went away. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        console.failure(_unexpected(error))
        return 1


def cluster(name: str) -> Cluster:
    """Load a cluster's facts, and have every client in this process reach it past a proxy. Raises SettingsError."""
    loaded = load_local(name)
    known = [item for item in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")).split(",") if item]
    if loaded.kubernetes.node_address not in known:
        # Programs differ in which spelling they read, and in whether a range means anything to them.
        direct = [*known, loaded.kubernetes.node_address, loaded.kubernetes.service_cidr]
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(direct)
    return loaded


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise Interrupted


def _unexpected(error: Exception) -> Failure:
    with tempfile.NamedTemporaryFile(
        "w", prefix="ml-platform-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as report:
        traceback.print_exception(error, file=report)
    return Failure(
        f"unexpected {type(error).__name__}: {error}",
        f"this is a defect of the script; its details are in {report.name}. scripts/doctor tells what is wrong here",
    )
