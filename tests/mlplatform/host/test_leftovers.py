"""What of a cache nobody uses any more: by age, and never what a link, a program or this checkout needs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.host.leftovers import Cache

AGE = timedelta(days=30)
OLD = time.time() - 31 * 86400
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A folder with a file in it, or a file, made long ago."""

    def made(name: str, *, when: float = OLD, folder: bool = True) -> Path:
        path = tmp_path / name
        inner = path / "bin" / "program" if folder else path
        inner.parent.mkdir(parents=True)
        inner.write_text("x")
        os.utime(path, (when, when))
        return path

    return made


def leftovers(cache: Path, *kept: Path) -> set[str]:
    found = Cache(cache, kept).leftovers(AGE, datetime.now(UTC))
    return {str(path.relative_to(cache)) for path in found}


def test_d17_only_what_is_old_and_of_an_earlier_version_goes(tmp_path: Path, make: Make) -> None:
    make("venvs/ops-old")
    make("tools/gitea/v1")
    make("logs/toolchain/gitea.log", folder=False)
    kept = [make("venvs/ops-now"), make("tools/gitea/v2")]
    make("venvs/dev-young", when=time.time() - 29 * 86400)
    # Neither of the platform's patterns nor anybody's whom we know.
    make("somebody/else")
    make("images/bot/inputs")
    make("tools/gitea/.lock-folder")
    assert leftovers(tmp_path, *kept) == {"venvs/ops-old", "tools/gitea/v1", "logs/toolchain/gitea.log"}


def test_d17_what_a_link_leads_to_stays_and_a_link_is_not_followed(tmp_path: Path, make: Make) -> None:
    linked = make("tools/uv/v1")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(linked / "bin" / "program")
    make("bootstrap/uv-1")
    (tmp_path / "bin" / "other").symlink_to("../bootstrap/uv-1/bin/program")
    elsewhere = make("elsewhere/v1").parent
    (tmp_path / "tools" / "far").symlink_to(elsewhere)
    (tmp_path / "venvs").mkdir()
    (tmp_path / "venvs" / "far").symlink_to(elsewhere / "v1")
    os.utime(tmp_path / "venvs" / "far", (OLD, OLD), follow_symlinks=False)
    assert leftovers(tmp_path) == set()


@pytest.mark.parametrize("how", ["program", "environment"])
def test_d17_what_runs_stays(tmp_path: Path, make: Make, how: str) -> None:
    path = make("tools/sleeper/v1" if how == "program" else "venvs/ops-1")
    program = path / "bin" / "program"
    program.unlink()
    if how == "program":
        sleep = shutil.which("sleep")
        assert sleep
        shutil.copy(sleep, program)
        command = [str(program), "60"]
    else:
        program.symlink_to(Path(sys.executable).resolve())
        command = [str(program), "-c", "import time; time.sleep(60)"]
    os.utime(path, (OLD, OLD))
    with subprocess.Popen(command) as process:
        try:
            assert leftovers(tmp_path) == set()
        finally:
            process.kill()
    assert leftovers(tmp_path) == {str(path.relative_to(tmp_path))}


def test_d17_an_environment_that_was_started_lately_stays(tmp_path: Path, make: Make) -> None:
    path = make("venvs/ops-1")
    (path / "pyvenv.cfg").write_text("")
    os.utime(path, (OLD, OLD))
    assert leftovers(tmp_path) == set()
    os.utime(path / "pyvenv.cfg", (OLD, OLD))
    assert leftovers(tmp_path) == {"venvs/ops-1"}
