"""`scripts/lock --check`: the lock files of this repository, and the ways in which one can be out of step."""

from pathlib import Path

import pytest

from toolchain import requirements
from toolchain.errors import ManifestError

HASH = "    --hash=sha256:" + "0" * 64
LOCK = f"""alpha==1.4.0 \\
{HASH}
    # via ml-platform (pyproject.toml:ops)
beta==2.0.0 ; python_full_version < '3.12' \\
{HASH} \\
{HASH}
    # via alpha
beta==2.1.0 ; python_full_version >= '3.12' \\
{HASH}
    # via
    #   alpha
    #   ml-platform (pyproject.toml:ops)
"""


def write(root: Path, group: str, lock: str = LOCK) -> Path:
    (root / "requirements").mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text(
        f'[project]\nrequires-python = ">=3.11"\n\n[dependency-groups]\nbase = ["Beta>=2"]\n{group}\n'
    )
    (root / "requirements" / "base.txt").write_text(
        f"beta==2.1.0 \\\n{HASH}\n    # via ml-platform (pyproject.toml:base)\n"
    )
    (root / "requirements" / "ops.txt").write_text(lock)
    return root


def test_the_lock_files_of_this_repository_are_in_step() -> None:
    assert requirements.check() == []


def test_a_lock_file_in_step(tmp_path: Path) -> None:
    assert requirements.check(write(tmp_path, 'ops = ["alpha>=1.3", { include-group = "base" }]')) == []


@pytest.mark.parametrize(
    ("group", "lock", "line"),
    [
        ('ops = ["alpha", "beta", "gamma"]', LOCK, "gamma is not locked"),
        ('ops = ["alpha>=1.5", "beta"]', LOCK, "alpha>=1.5 is locked at 1.4.0"),
        ('ops = ["alpha", "beta<2.1"]', LOCK, "beta<2.1 is locked at 2.1.0"),
        ('ops = ["alpha"]', LOCK, "beta is locked, but no longer asked for"),
        ('ops = ["alpha", "beta"]', LOCK.replace(HASH, "", 1), "alpha 1.4.0 has no hash"),
    ],
)
def test_a_lock_file_out_of_step(tmp_path: Path, group: str, lock: str, line: str) -> None:
    assert requirements.check(write(tmp_path, group, lock)) == [f"requirements/ops.txt: {line}"]


def test_missing_and_left_over_lock_files(tmp_path: Path) -> None:
    write(tmp_path, 'other = ["alpha"]')
    assert requirements.check(tmp_path) == [
        "requirements/ops.txt: pyproject.toml has no such group",
        "requirements/other.txt: is missing",
    ]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ('ops = [{ include-group = "none" }]', r"dependency-groups\.ops: there is no group 'none' to include"),
        ('ops = [{ include-group = "ops" }]', r"dependency-groups\.ops: includes itself"),
        ('ops = ["alpha >> 1"]', r"dependency-groups\.ops: 'alpha >> 1': "),
        ("ops = [", r"pyproject\.toml: cannot be read"),
    ],
)
def test_a_wrong_group_is_refused(tmp_path: Path, group: str, message: str) -> None:
    write(tmp_path, group)
    with pytest.raises(ManifestError, match=message):
        requirements.groups(tmp_path)


def test_an_unknown_group_is_not_locked(tmp_path: Path) -> None:
    write(tmp_path, 'ops = ["alpha"]')
    with pytest.raises(ManifestError, match="there is no dependency group 'opps'; known: base, ops"):
        requirements.refresh(["opps"], upgrade=False, root=tmp_path)


def test_the_command_reports_what_is_out_of_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert requirements.main(["--check"]) == 0
    assert requirements.main(["nonsense"]) == 2
    assert "there is no dependency group 'nonsense'" in capsys.readouterr().err
