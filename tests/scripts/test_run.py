"""`scripts/lib/run`: what a verb needs before Python runs. Environments are made in a cache of the test's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import settings

RUN = settings.ROOT / "scripts" / "lib" / "run"


def run(cache: Path | str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"ML_PLATFORM_CACHE_DIR": str(cache), "PATH": path or os.environ["PATH"]}
    environment["UV_CACHE_DIR"] = str(settings.Paths.from_environment().cache / "uv")
    return subprocess.run([RUN, *arguments], env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ("arguments", "error", "fix"),
    [
        ([], "no verb given", "run scripts/<verb>"),
        (["--venv"], "there is no dependency group ''", "use one of: bootstrap ci "),
        (["--venv", "opps"], "there is no dependency group 'opps'", "use one of: bootstrap ci "),
        (["../up"], "no verb given", "run scripts/<verb>"),
    ],
)
def test_bad_input_is_refused_with_the_fix(tmp_path: Path, arguments: list[str], error: str, fix: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {error}\nfix: {fix}")
    assert list(tmp_path.iterdir()) == []


def test_a_relative_cache_is_refused() -> None:
    done = run("cache", "--venv", "bootstrap")
    assert done.returncode == 2
    assert "ML_PLATFORM_CACHE_DIR: 'cache' is no absolute path" in done.stderr


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path / "file", "--venv", "bootstrap")
    assert done.returncode == 2
    assert f"error: {tmp_path}/file cannot be written\nfix: run it as root, or set ML_PLATFORM_CACHE_DIR" in done.stderr


def test_without_a_python_that_is_new_enough(tmp_path: Path) -> None:
    """PATH holds an old python3 only. Skipping /usr/bin hides the machine's own."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "env", "sha256sum", "mkdir", "flock", "rm"):
        (tools / name).symlink_to(shutil.which(name) or name)
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    program = (
        (settings.ROOT / "scripts" / "lib" / "bootstrap.sh").read_text().replace("/usr/bin/python3", "/none/python3")
    )
    done = subprocess.run(
        ["bash", "-c", f'fail() {{ echo "error: $1; $2"; exit "${{3:-2}}"; }}\n{program}\nfind_python'],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == "error: there is no Python 3.11 or later; on Debian 12 or later: apt-get install -y python3\n"


@pytest.mark.tools
def test_an_environment_is_made_once_even_by_two_at_once(tmp_path: Path) -> None:
    environment = os.environ | {"ML_PLATFORM_CACHE_DIR": str(tmp_path)}
    processes = [
        subprocess.Popen([RUN, "--venv", "bootstrap"], env=environment, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len({out for out, _ in answers}) == 1
    assert "".join(err for _, err in answers).count("making the Python environment") == 1
    venv = Path(answers[0][0].strip())
    assert venv.parent == tmp_path / "venvs"
    again = run(tmp_path, "--venv", "bootstrap")
    assert (again.stdout.strip(), again.stderr) == (str(venv), "")
    assert list(venv.glob("lib/python3*/site-packages/uv/__pycache__/*.pyc")), "compiled when it was made"


@pytest.mark.tools
def test_an_environment_that_was_left_half_made_is_made_again(tmp_path: Path) -> None:
    venv = Path(run(tmp_path, "--venv", "bootstrap").stdout.strip())
    (venv / ".complete").unlink()
    (venv / "bin" / "uv").unlink()
    assert run(tmp_path, "--venv", "bootstrap").returncode == 0
    assert (venv / "bin" / "uv").exists()


@pytest.mark.tools
def test_without_uv_it_comes_from_the_package_index(tmp_path: Path) -> None:
    folders = [folder for folder in os.environ["PATH"].split(":") if not Path(folder, "uv").exists()]
    done = run(tmp_path, "--in", "bootstrap", "uv", "--version", path=":".join(folders))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("uv ")
    assert "no uv here: taking it from the Python package index" in done.stderr
    assert (tmp_path / "bin" / "uv").exists()


@pytest.mark.tools
def test_a_wrong_hash_stops_the_bootstrap(tmp_path: Path) -> None:
    """The whole of scripts/lib beside a lock file whose hashes are wrong."""
    shutil.copytree(RUN.parent, tmp_path / "scripts" / "lib", ignore=shutil.ignore_patterns("__pycache__", "cli"))
    lock = (settings.ROOT / "requirements" / "bootstrap.txt").read_text()
    (tmp_path / "requirements").mkdir()
    spoiled = "".join(
        f"{line.partition('sha256:')[0]}sha256:{'0' * 64}{' ' + chr(92) if line.endswith(chr(92)) else ''}\n"
        if "--hash" in line
        else f"{line}\n"
        for line in lock.splitlines()
    )
    (tmp_path / "requirements" / "bootstrap.txt").write_text(spoiled)
    done = subprocess.run(
        [tmp_path / "scripts" / "lib" / "run", "--venv", "bootstrap"],
        env=os.environ | {"ML_PLATFORM_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "the packages of requirements/bootstrap.txt could not be installed" in done.stderr
    assert not list((tmp_path / "cache" / "venvs").glob("*/.complete"))
