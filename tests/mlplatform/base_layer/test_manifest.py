"""What a manifest notices."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplatform.base_layer import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "environment"
    (made / "lib" / "package").mkdir(parents=True)
    (made / "lib" / "package" / "module.py").write_text("pass\n")
    (made / "lib" / "empty.py").touch()
    (made / "bin").mkdir()
    (made / "bin" / "python").symlink_to("/usr/bin/python3")
    (made / "lib64").symlink_to("lib")
    return made


def test_an_unchanged_folder_has_no_problem_also_when_its_times_and_modes_differ(folder: Path, tmp_path: Path) -> None:
    manifest.write(tmp_path / "m.json", manifest.of(folder))
    os.utime(folder / "lib" / "empty.py", (0, 0))
    (folder / "lib" / "empty.py").chmod(0o444)
    recorded = manifest.read(tmp_path / "m.json")
    assert sorted(recorded) == ["bin/python", "lib/empty.py", "lib/package/module.py", "lib64"]
    assert manifest.problems(folder, recorded) == []


def _size_kept(folder: Path) -> None:
    path = folder / "lib" / "package" / "module.py"
    before = path.stat()
    path.write_text("fail\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _relinked(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/tmp/python")


def _replaced_by_a_link(folder: Path) -> None:
    copy = folder.parent / "module.py"
    (folder / "lib" / "package" / "module.py").rename(copy)
    (folder / "lib" / "package" / "module.py").symlink_to(copy)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda folder: (folder / "lib" / "zz.pth").write_text("import os"), "lib/zz.pth was added"),
        (lambda folder: (folder / "lib" / "more").symlink_to("/tmp"), "lib/more was added"),
        (_size_kept, "lib/package/module.py was changed"),
        (_relinked, "bin/python was changed"),
        (_replaced_by_a_link, "lib/package/module.py was changed"),
        (lambda folder: (folder / "lib" / "empty.py").unlink(), "lib/empty.py is missing"),
    ],
)
def test_s3_each_kind_of_change_is_found(folder: Path, change: Callable[[Path], None], problem: str) -> None:
    recorded = manifest.of(folder)
    change(folder)
    assert manifest.problems(folder, recorded) == [problem]


def test_no_more_is_said_than_is_read(folder: Path) -> None:
    assert len(manifest.problems(folder / "none", manifest.of(folder), most=2)) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": "0"'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's own message or ours
        manifest.read(tmp_path / "m.json")
