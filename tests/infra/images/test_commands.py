"""A program's failure is one message, and nothing of it outlives the run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from images.commands import TAIL, run
from images.errors import ImageError

# Each command has mounts of its own.
mounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")

STOPPED = """
import sys, threading, time
from pathlib import Path
from images import commands
from images.errors import ImageError

def work():
    try:
        commands.run(["sh", "-c", "sleep 60 & echo $! > child; wait"], "work", log=Path("log"))
    except ImageError as error:
        print(error)

thread = threading.Thread(target=work)
thread.start()
while not (Path("child").exists() and Path("child").read_text().strip()):
    time.sleep(0.02)
commands.stop_all()
thread.join()
try:
    commands.run(["true"], "more work")
except ImageError as error:
    print(error)
"""


def test_output_is_returned() -> None:
    assert run(["echo", "done"], "echo") == "done\n"


@mounts
def test_a_failure_shows_the_last_lines_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(ImageError) as caught:
        run(["sh", "-c", "seq 100; exit 3"], "counting", log=log)
    message = str(caught.value)
    assert message.startswith(f"counting: sh failed (exit 3; all it said: {log}):\n")
    assert message.split()[-TAIL:] == [str(number) for number in range(101 - TAIL, 101)]
    assert log.read_text().split() == [str(number) for number in range(1, 101)]


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ImageError, match="no-such-program: is not installed; scripts/up installs it"):
        run(["no-such-program"], "it")


@mounts
def test_mounts_stay_in_the_command(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    script = 'mount -t tmpfs none "$1" && touch "$1/seen" && ls "$1"'
    run(["sh", "-c", script, "sh", str(inside)], "mounting", log=tmp_path / "log")
    assert (tmp_path / "log").read_text() == "seen\n"
    assert list(inside.iterdir()) == []


@mounts
def test_stopping_ends_children_and_starts_nothing_more(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "work: sh failed (exit -15" in done.stdout
    assert "more work: stopped" in done.stdout
    child = Path("/proc") / (tmp_path / "child").read_text().strip()
    deadline = time.monotonic() + 5
    while child.exists() and (child / "stat").read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or (child / "stat").read_text().split()[2] == "Z"
