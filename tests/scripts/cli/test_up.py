"""What scripts/up shows of a step while it waits."""

import io
import stat
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cli import process, up
from cli.app import cluster
from cli.steps import Context
from settings import Paths

# Stands in for the interpreter that runs the toolchain: what the toolchain writes, one event a line.
TOOLCHAIN = """#!/bin/sh
echo "6 of 13 left, etcd: building v3.6.5 ..." >&2
echo "warning: gitea: has another sha256 than on its first use; building it instead" >&2
echo "1 of 13 left, gitea: building v1.26.0 ..." >&2
echo "13 tools: 2 on PATH, 11 built"
"""


def test_the_wait_for_the_tools_says_how_many_are_left_and_a_warning_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(TOOLCHAIN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(program))
    process.reset()
    shown: list[str] = []

    class Recording(Context):
        def progress(self, text: str) -> None:
            shown.append(text)

    console = Console(file=io.StringIO(), width=160)
    setup = up.Setup(cluster("local"), Paths(tmp_path / "state", tmp_path / "cache"))
    assert setup._tools(Recording(io.StringIO(), console)) == "13 tools: 2 on PATH, 11 built"
    assert shown == [
        "6 of 13 left, etcd: building v3.6.5 ...",
        "1 of 13 left, gitea: building v1.26.0 ...",
        "13 tools: 2 on PATH, 11 built",
    ]
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().split() == TOOLCHAIN.split('"')[3].split()
