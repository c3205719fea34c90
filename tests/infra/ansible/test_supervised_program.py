"""Programs under a real supervisord of this test's own."""

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xmlrpc.client import ServerProxy

import pytest
from supervisor.xmlrpc import SupervisorTransport


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Any]:
    """A running supervisord whose programs are the files `<tmp_path>/*.program`."""
    configuration, socket = tmp_path / "supervisord.conf", tmp_path / "s"
    configuration.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={tmp_path}/log\npidfile={tmp_path}/pid\n"
        f"user={pwd.getpwuid(os.geteuid()).pw_name}\n"
        f"[unix_http_server]\nfile={socket}\n"
        "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[include]\nfiles={tmp_path}/*.program\n"
    )
    command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "--configuration", str(configuration)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    transport = SupervisorTransport(None, None, serverurl=f"unix://{socket}")
    proxy = ServerProxy("http://127.0.0.1", transport=transport)
    deadline = time.monotonic() + 20
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    yield proxy.supervisor
    transport.close()
    process.terminate()
    process.wait()


def define(folder: Path, seconds: int) -> None:
    (folder / "one.program").write_text(
        f"[program:one]\ncommand=sleep {seconds}\nautostart=false\nstartsecs=0\nstopwaitsecs=1\n"
    )


def pid(supervisor: Any) -> int:
    deadline = time.monotonic() + 10
    while (info := supervisor.getProcessInfo("one"))["statename"] != "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    return int(info["pid"])


def command(process: int) -> list[str]:
    """The command line, once the new process has become the program."""
    deadline = time.monotonic() + 10
    # Until then it is a copy of supervisord.
    while (
        not (line := Path(f"/proc/{process}/cmdline").read_bytes()).startswith(b"sleep") and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return line.decode().split("\0")[:-1]


def test_a_program_is_started_kept_and_restarted(
    library: Callable[[str], ModuleType], supervisor: Any, tmp_path: Path
) -> None:
    ensure = library("supervised_program").ensure_running
    define(tmp_path, 60)
    assert ensure(supervisor, "one", False, False)
    first = pid(supervisor)

    assert not ensure(supervisor, "one", False, False)
    assert ensure(supervisor, "one", True, True)
    assert pid(supervisor) == first, "a dry run must not restart anything"

    assert ensure(supervisor, "one", True, False)
    second = pid(supervisor)
    assert second != first

    define(tmp_path, 61)
    assert ensure(supervisor, "one", False, False)
    third = pid(supervisor)
    assert third != second
    assert command(third) == ["sleep", "61"]

    supervisor.stopProcess("one", True)
    assert ensure(supervisor, "one", False, False)
    assert pid(supervisor) not in {0, third}
