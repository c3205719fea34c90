"""Commands write to a log, fail clearly and never outlive the verb that started them."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import process
from cli.failure import Failure


@pytest.fixture(autouse=True)
def _commands_allowed() -> Iterator[None]:
    process.reset()
    yield
    process.reset()


def test_output_goes_to_the_log_and_to_the_listener_line_by_line() -> None:
    log, lines = io.StringIO(), []
    tail = process.stream(["sh", "-c", "echo one; echo two >&2"], log, on_line=lines.append)
    assert lines == ["one", "two"]
    assert tail == "one\ntwo"
    assert log.getvalue().endswith("one\ntwo\n")


def test_a_failing_command_carries_its_last_lines_and_the_fix() -> None:
    with pytest.raises(Failure) as failed:
        process.stream(["sh", "-c", "seq 100; exit 3"], io.StringIO(), fix="mend it")
    assert failed.value.message == "sh failed (exit status 3)"
    assert failed.value.fix == "mend it"
    assert failed.value.tail == tuple(str(number) for number in range(71, 101))


def test_a_command_that_is_not_there_is_a_failure_and_no_traceback() -> None:
    with pytest.raises(Failure):
        process.stream(["/nonexistent/program"], io.StringIO())
    with pytest.raises(Failure, match="cannot be started"):
        process.output(["/nonexistent/program"])


def test_standard_input_is_empty() -> None:
    assert process.stream(["cat"], io.StringIO()) == ""


def test_cancelling_stops_the_whole_group_and_refuses_new_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_GRACE_SECONDS", 0.5)
    child = tmp_path / "child"
    script = f"sleep 300 & echo $! > {child}; wait"
    failures: list[Failure] = []

    def work() -> None:
        try:
            process.stream(["sh", "-c", script], io.StringIO())
        except Failure as failure:
            failures.append(failure)

    worker = threading.Thread(target=work)
    worker.start()
    while not (child.exists() and child.read_text().strip()):
        time.sleep(0.05)
    process.cancel_all()
    worker.join(timeout=60)
    assert isinstance(failures[0], process.Cancelled)
    assert _ends(int(child.read_text()))
    with pytest.raises(process.Cancelled):
        process.stream(["true"], io.StringIO())


def test_a_command_dies_with_a_killed_verb(tmp_path: Path) -> None:
    child = tmp_path / "child"
    program = (
        "import io\nfrom cli import process\n"
        f"process.stream(['sh', '-c', 'echo $$ > {child}; exec sleep 300'], io.StringIO())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    verb = subprocess.Popen([sys.executable, "-c", program], env=environment)
    while not (child.exists() and child.read_text().strip()):
        time.sleep(0.05)
    verb.send_signal(signal.SIGKILL)
    verb.wait()
    assert _ends(int(child.read_text()))


def test_an_interrupt_reaches_commands_of_a_verb_that_runs_in_the_background() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Failure, match="signal 2"):
            process.stream(["sh", "-c", "kill -INT $$; sleep 5"], io.StringIO())
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_short_command_that_hangs_is_ended() -> None:
    with pytest.raises(Failure, match="did not end within 0 s"):
        process.output(["sleep", "300"], timeout=0.2)


def _ends(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        # An orphan whose adopted parent reaps nothing stays a zombie; it runs no more.
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
