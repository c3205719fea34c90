"""What of a cache nobody uses any more: since when, and never what a link, a program or this checkout needs."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.host.leftovers import Cache
from mlplatform.retention import Unused

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


def unused(cache: Path, *kept: Path) -> list[Unused[Path]]:
    return Cache(cache, kept).unused(lambda path: len(path.name))


def leftovers(cache: Path, *kept: Path) -> set[str]:
    return {str(one.what.relative_to(cache)) for one in unused(cache, *kept)}


def test_d17_only_what_is_of_an_earlier_version_goes(tmp_path: Path, make: Make) -> None:
    make("venvs/ops-old")
    make("tools/gitea/v1")
    make("logs/toolchain/gitea.log", folder=False)
    kept = [make("venvs/ops-now"), make("tools/gitea/v2")]
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


def test_d17_what_is_unused_tells_its_size_and_when_it_was_used_last(tmp_path: Path, make: Make) -> None:
    """An environment was used when its Python was started."""
    path = make("venvs/ops-1")
    assert unused(tmp_path) == [Unused(path, 5, datetime.fromtimestamp(OLD, UTC))]
    (path / "pyvenv.cfg").write_text("")
    started = OLD + 86400
    os.utime(path / "pyvenv.cfg", (started, OLD))
    os.utime(path, (OLD, OLD))
    assert unused(tmp_path) == [Unused(path, 5, datetime.fromtimestamp(started, UTC))]
