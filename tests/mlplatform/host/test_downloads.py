"""What was downloaded and is used by nothing is found, and can go; what a lock or an environment uses stays."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.host.downloads import GoModules, Packages
from mlplatform.retention import Unused

OLD = int(time.time()) - 31 * 86400


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def size(path: Path) -> int:
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else path.stat().st_size


@pytest.fixture
def modules(tmp_path: Path) -> GoModules:
    """A module cache as Go keeps one, folders without the right to write."""
    found = GoModules(tmp_path / "mod")
    for name in ("example.org/kept@v1.0.0", "example.org/kept@v0.9.0", "github.com/!burnt!sushi/toml@v1.0.0-!r!c1"):
        path, version = found.folder / name, name.partition("@")[2]
        (path / "inner@v9").mkdir(parents=True)
        (path / "inner@v9" / "code.go").write_text("package x")
        packed = found.folder / "cache" / "download" / name.partition("@")[0] / "@v"
        packed.mkdir(parents=True, exist_ok=True)
        for suffix in ("zip", "ziphash", "mod", "info"):
            (packed / f"{version}.{suffix}").write_text("12345")
        os.utime(path, (OLD, OLD))
        (path / "inner@v9").chmod(0o500)
        path.chmod(0o500)
    return found


def test_d17_go_modules_that_no_go_sum_names_are_unused(modules: GoModules) -> None:
    sums = ["example.org/kept v1.0.0 h1:x=\nexample.org/kept v1.0.0/go.mod h1:y=\n"]
    old, other = (
        modules.folder / name for name in ("example.org/kept@v0.9.0", "github.com/!burnt!sushi/toml@v1.0.0-!r!c1")
    )
    since = datetime.fromtimestamp(OLD, UTC)
    assert modules.unused(sums, size) == [Unused(old, 9 + 10, since), Unused(other, 9 + 10, since)]
    assert [one.what for one in modules.unused([*sums, "github.com/BurntSushi/toml v1.0.0-RC1 h1:z="], size)] == [old]


def test_d17_a_go_module_goes_packed_and_unpacked_and_its_neighbours_stay(modules: GoModules) -> None:
    before = files(modules.folder)
    modules.delete(modules.folder / "example.org/kept@v0.9.0")
    packed = "cache/download/example.org/kept/@v/v0.9.0"
    gone = {f"{packed}.zip", f"{packed}.ziphash", "example.org/kept@v0.9.0/inner@v9/code.go"}
    assert before - files(modules.folder) == gone
    assert not (modules.folder / "example.org" / "kept@v0.9.0").exists()


def test_d17_no_cache_has_nothing_unused(tmp_path: Path) -> None:
    assert GoModules(tmp_path / "mod").unused([], size) == []
    assert Packages(tmp_path / "uv").unused(size) == []


def wheel(folder: Path, name: str) -> Path:
    """A wheel without code."""
    info = f"{name}-1.0.dist-info"
    texts = {
        f"{name}.py": "x = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "".join(f"{file},,\n" for file in (f"{name}.py", f"{info}/METADATA", f"{info}/WHEEL")),
    }
    tree = folder / name
    for file, text in texts.items():
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(text)
    made = Path(shutil.make_archive(str(folder / f"{name}-1.0-py3-none-any"), "zip", tree))
    return made.rename(made.with_suffix(".whl"))


@pytest.mark.tools
def test_d17_packages_that_no_environment_has_are_unused_and_uv_removes_them_by_name(
    tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    """On a real cache of uv's, with an environment that is there and one that has gone."""
    cache = Packages(tmp_path / "uv")
    environment = {**os.environ, "UV_CACHE_DIR": str(cache.folder), "UV_PYTHON_DOWNLOADS": "never"}

    def uv(*arguments: str | Path) -> None:
        subprocess.run([tool("uv"), *arguments], env=environment, check=True, capture_output=True)

    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("kept", "left"):
        made = wheel(wheels, name)
        uv("venv", "--no-project", tmp_path / name)
        uv("pip", "install", "--python", tmp_path / name / "bin" / "python", "--no-index", "--offline", made)
    assert cache.unused(size) == []
    shutil.rmtree(tmp_path / "left")
    (cache.folder / "wheels-v1").mkdir()
    bucket, package = cache.unused(size)
    assert bucket.what == cache.folder / "wheels-v1"
    assert (package.what / "left.py").is_file()
    assert package.size == size(package.what)
    assert cache.names([bucket.what, package.what]) == ["left"]

    uv("cache", "clean", "left")
    uv("cache", "prune")
    assert cache.unused(size) == []
    assert any(file.endswith("/kept.py") for file in files(cache.folder))
    assert not any(file.endswith("/left.py") for file in files(cache.folder))
