"""Environments of jobs: made once, whole or not there, from wheels whose hashes the lock names."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlplatform.base_layer import locked, manifest
from mlplatform.base_layer.environments import Environments, Place, locks, name_of
from mlplatform.base_layer.folders import BaseLayerError
from settings import ROOT, Paths

SMALL = ROOT / "requirements" / "bootstrap.txt"
COMMAND = (sys.executable, "-S", "-m", "mlplatform.base_layer")


def part_of(group: str, *names: str) -> str:
    """What the lock of a group says of some packages."""
    text = (ROOT / "requirements" / f"{group}.txt").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    found = [block for block in blocks if block.partition("==")[0] in names]
    assert len(found) == len(names)
    return "".join(found)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache" / "base").mkdir(parents=True)
    return tmp_path / "cache"


@pytest.fixture
def variables(cache: Path, paths: Paths) -> dict[str, str]:
    """A job's environment."""
    path = os.pathsep.join([str(paths.bin), os.environ["PATH"]])
    return {**os.environ, "CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT / "src"), "PATH": path}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, paths: Paths, cache: Path) -> Environments:
    """The base layer's environments, in this process."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(paths.bin), os.environ["PATH"]]))
    return Place(cache).base


def test_an_environment_is_named_by_group_lock_and_python(tmp_path: Path) -> None:
    lock = tmp_path / "ml.txt"
    lock.write_text("a==1\n")
    first = name_of(lock, "cpython-311")
    assert re.fullmatch(r"ml-[0-9a-f]{12}-cpython-311", first)
    assert name_of(lock, "cpython-312") != first
    lock.write_text("a==2\n")
    assert name_of(lock, "cpython-311") != first


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaseLayerError, match=r"requirements/ci\.txt is missing"):
        locks(tmp_path)


def test_without_uv_the_message_says_so(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BaseLayerError, match="uv cannot be started"):
        Place(cache).environment(SMALL)


@pytest.mark.tools
def test_two_jobs_at_once_make_an_environment_once(variables: dict[str, str], cache: Path) -> None:
    jobs = [
        subprocess.Popen([*COMMAND, "find", SMALL], env=variables, stdout=-1, stderr=-1, text=True) for _ in range(2)
    ]
    answers = [job.communicate(timeout=300) for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], answers
    assert "".join(said for _, said in answers).count("making the environment") == 1
    [folder] = {Path(out.strip()) for out, _ in answers}
    assert folder == cache / "base" / "environments" / name_of(SMALL)
    again = subprocess.run([*COMMAND, "find", SMALL], env=variables, capture_output=True, text=True, check=True)
    assert (again.stdout.strip(), again.stderr) == (str(folder), "")
    kept = {path.name for path in folder.parent.iterdir()}
    assert kept == {folder.name, f"{folder.name}.json", ".lock"}, "nothing else stays"


@pytest.mark.tools
def test_s3_it_is_compiled_and_cannot_be_changed_by_mistake(make: Environments, cache: Path) -> None:
    make.make([SMALL])
    folder = cache / "base" / "environments" / name_of(SMALL)
    compiled = list(folder.glob("lib/python3*/site-packages/uv/__pycache__/*.pyc"))
    assert compiled
    # PEP 552: hash-based, and never checked against the source.
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {0b01}
    paths = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o222] == []
    assert (folder / "bin" / "python").resolve() == Path(sys._base_executable).resolve()  # type: ignore[attr-defined]


@pytest.mark.tools
def test_s3_a_maker_that_is_killed_leaves_nothing_that_counts_and_the_next_begins_again(
    variables: dict[str, str], cache: Path, tmp_path: Path, paths: Paths
) -> None:
    """Killed while packages are installed: its uv is the real one until then, and stands still there."""
    slow = tmp_path / "bin" / "uv"
    slow.parent.mkdir()
    real = shutil.which("uv", path=variables["PATH"])
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *install*) touch {tmp_path}/there; exec sleep 600;; esac\nexec {real} "$@"\n'
    )
    slow.chmod(0o755)
    hanging = variables | {"PATH": f"{slow.parent}:{variables['PATH']}"}
    job = subprocess.Popen([*COMMAND, "find", SMALL], env=hanging, stdout=-1, stderr=-1, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "there").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    environments = Place(cache).base
    assert (environments.root / name_of(SMALL) / "bin" / "python").exists()
    assert environments.find(name_of(SMALL)) is None
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    (environments.root / name_of(SMALL) / "left.pth").write_text("import os\n")
    done = subprocess.run([*COMMAND, "find", SMALL], env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    folder = environments.find(name_of(SMALL))
    assert folder
    assert not (folder / "left.pth").exists()


@pytest.mark.tools
def test_s3_what_differs_from_its_manifest_is_removed_and_made_anew(make: Environments) -> None:
    make.make([SMALL])
    folder = make.find(name_of(SMALL))
    assert folder
    assert make.check() == {}
    [packages] = folder.glob("lib/python3*/site-packages")
    packages.chmod(0o755)
    (packages / "zz.pth").write_text("import sys; sys.stderr.write('POISON')\n")
    [(name, wrong)] = make.check().items()
    assert name == folder.name
    assert wrong == [f"{packages.relative_to(folder)}/zz.pth was added"]
    assert not folder.exists()
    assert make.make([SMALL]) == [name]
    assert make.check() == {}


@pytest.mark.tools
def test_s3_a_package_of_another_hash_is_refused(make: Environments, tmp_path: Path) -> None:
    lock = tmp_path / "small.txt"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", SMALL.read_text()))
    with pytest.raises(BaseLayerError, match=r"requirements/small\.txt could not be made"):
        make.make([lock])
    assert make.find(name_of(lock)) is None


@pytest.mark.tools
def test_s3_a_package_without_a_hash_is_refused(make: Environments, tmp_path: Path) -> None:
    lock = tmp_path / "small.txt"
    lock.write_text(SMALL.read_text().partition(" ")[0] + "\n")
    with pytest.raises(BaseLayerError, match=r"could not be made"):
        make.make([lock])


@pytest.mark.tools
def test_s3_only_what_has_no_wheel_is_built_and_with_the_locks_own_tools(
    make: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "ml.txt"
    lock.write_text(part_of("ml", "antlr4-python3-runtime", "setuptools"))
    make.make([lock])
    folder = make.find(name_of(lock))
    assert folder
    subprocess.run([folder / "bin" / "python", "-c", "import antlr4"], check=True)
    make.remove(folder.name)
    monkeypatch.setattr(locked, "SOURCE_ONLY", ())
    with pytest.raises(BaseLayerError, match="each package has a wheel"):
        make.make([lock])
    assert make.find(folder.name) is None


@pytest.mark.tools
def test_a_runner_without_a_base_layer_has_environments_of_its_own(variables: dict[str, str], cache: Path) -> None:
    (cache / "base").rmdir()
    done = subprocess.run([*COMMAND, "find", SMALL], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(cache / "environments" / name_of(SMALL))
    assert "base layer" not in done.stderr


def test_b6_what_another_environment_has_takes_no_room_twice_unless_it_was_changed(cache: Path) -> None:
    layer = Place(cache).base
    layer.scratch.mkdir(parents=True)
    large = {
        "same": b"1" * 2**20,
        "poisoned": b"2" * 2**20,
        "program": b"3" * 2**20,
        "small": b"4",
        "new": b"5" * 2**20,
    }
    for name in ("ml", "dev-ml"):
        (layer.root / name).mkdir()
        for file, content in large.items():
            if (name, file) != ("ml", "new"):
                (layer.root / name / file).write_bytes(content)
    (layer.root / "dev-ml" / "program").chmod(0o755)
    manifest.write(layer.manifest("ml"), manifest.of(layer.root / "ml"))
    (layer.root / "ml" / "poisoned").write_bytes(b"x" * 2**20)
    recorded = manifest.of(layer.root / "dev-ml")
    assert layer.share("dev-ml", recorded) == 2**20
    assert layer.share("dev-ml", recorded) == 0, "they are one already"
    assert list(layer.scratch.iterdir()) == []
    shared = [file for file in large if (layer.root / "dev-ml" / file).stat().st_nlink == 2]
    assert shared == ["same"]
    assert manifest.problems(layer.root / "dev-ml", recorded) == []
    layer.remove("ml")
    assert manifest.problems(layer.root / "dev-ml", recorded) == []


def test_c11_an_environment_is_held_against_its_manifest_when_it_is_made(
    make: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = Environments.share

    def wrong(self: Environments, name: str, recorded: Mapping[str, str]) -> int:
        """As if a file had become one with another that is not the same."""
        spared = share(self, name, recorded)
        next((self.root / name).rglob("*.py")).write_text("import evil\n")
        return spared

    monkeypatch.setattr(Environments, "share", wrong)
    with pytest.raises(
        BaseLayerError, match=r"bootstrap-.* is not as it was made \(.*\.py was changed\): make it again"
    ):
        make.make([SMALL])
    assert make.find(name_of(SMALL)) is None

    monkeypatch.setattr(Environments, "share", share)
    assert make.make([SMALL]) == [name_of(SMALL)]
    assert manifest.problems(make.root / name_of(SMALL), manifest.read(make.manifest(name_of(SMALL)))) == []


def test_d7_an_environment_that_no_lock_names_goes_after_two_weeks(cache: Path, tmp_path: Path) -> None:
    layer = Place(cache).base
    layer.root.mkdir()
    named, other, late = ("ci-000000000000-cpython-311", "ml-000000000000-cpython-311", name_of(SMALL))
    days = {named: 15, other: 13, late: 15}
    for name, age in days.items():
        (layer.root / name).mkdir()
        (layer.root / f"{name}.json").write_text("{}")
        os.utime(layer.root / f"{name}.json", (time.time() - age * 86400,) * 2)
    assert layer.forget_locks([SMALL]) == [named]
    assert layer.find(other)
    assert layer.find(late)
    assert not (layer.root / named).exists()
    # Named today, it has its two weeks from now.
    assert layer.forget_locks([]) == []
    os.utime(layer.root / f"{late}.json", (time.time() - 15 * 86400,) * 2)
    assert layer.forget_locks([]) == [late]
