"""Whatever goes wrong, a verb prints one clear message and exits with the right status."""

import argparse
import os
import signal
import time
from collections.abc import Callable

import pytest

from cli import app
from cli.failure import BadInput, Failure
from settings import SettingsError


def run(action: Callable[[], int], argv: tuple[str, ...] = ()) -> int:
    return app.run(app.parser("verb", "Do it."), lambda arguments: action(), argv)


def raises(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Failure("it broke", "mend it"), 1),
        (BadInput("it is wrong", "mend it"), 2),
        (SettingsError("clusters/x/cluster.yaml: name: is wrong"), 2),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a defect"), 1),
    ],
)
def test_exit_status_and_message(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raises(error)) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    assert "\x1b" not in captured.err


def test_sigterm_ends_a_verb_as_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    def action() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        return 0

    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run(action) == 143
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "interrupted" in capsys.readouterr().err


def test_an_unknown_option_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(lambda: 0, ("--nonsense",))
    assert stopped.value.code == 2
    assert "scripts/verb" in capsys.readouterr().err


def test_help_says_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(lambda: 0, ("--help",))
    assert stopped.value.code == 0
    assert "2 bad input" in capsys.readouterr().out


def test_options_are_not_abbreviated() -> None:
    parser: argparse.ArgumentParser = app.parser("down", "")
    parser.add_argument("--purge", action="store_true")
    with pytest.raises(SystemExit):
        parser.parse_args(["--pur"])
