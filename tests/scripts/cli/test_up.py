"""What scripts/up does in a checkout, and what it shows while it waits."""

import io
import stat
import sys
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from cli import process, up
from cli.app import cluster
from cli.steps import Context
from settings import Paths, load_local

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


def test_d8_a_checkout_without_the_demos_program_is_seeded_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = up.Setup(load_local("local"), Paths(tmp_path / "state", tmp_path / "cache"))
    assert setup.seeds
    monkeypatch.setattr(up, "ROOT", tmp_path)
    untouched = cast("Context", None)  # a step that ran a command would fail
    assert not setup.seeds
    assert setup._data_environment(untouched) == "not needed"
    assert setup._data(untouched) == "the demo's program is gone: nothing to seed"
    assert list(tmp_path.iterdir()) == []
