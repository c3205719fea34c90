"""A change of what the platform is made of is noticed, anything else is not."""

import subprocess
from pathlib import Path

import pytest

from cli import fingerprint
from settings import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("infra/a.py", "clusters/local/cluster.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "."], check=True)
    subprocess.run(["git", "-C", str(tmp_path), *identity, "commit", "--quiet", "-m", "one"], check=True)
    return tmp_path


def test_it_is_the_same_until_an_input_changes(checkout: Path) -> None:
    before = fingerprint.of_checkout(checkout)
    (checkout / "README.md").write_text("other")
    assert fingerprint.of_checkout(checkout) == before
    (checkout / "infra/a.py").write_text("other")
    assert fingerprint.of_checkout(checkout) != before


@pytest.mark.parametrize("change", ["add", "delete", "mode", "rename"])
def test_each_kind_of_change_counts_before_it_is_committed(checkout: Path, change: str) -> None:
    before = fingerprint.of_checkout(checkout)
    file = checkout / "infra/a.py"
    match change:
        case "add":
            (checkout / "infra/b.py").write_text("")
        case "delete":
            file.unlink()
        case "mode":
            file.chmod(0o755)
        case "rename":
            file.rename(checkout / "infra/c.py")
    assert fingerprint.of_checkout(checkout) != before


def test_ignored_files_do_not_count(checkout: Path) -> None:
    (checkout / ".gitignore").write_text("__pycache__/\n")
    before = fingerprint.of_checkout(checkout)
    (checkout / "infra/__pycache__").mkdir()
    (checkout / "infra/__pycache__/a.pyc").write_text("")
    assert fingerprint.of_checkout(checkout) == before


def test_a_clone_elsewhere_has_the_same(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    clone = tmp_path_factory.mktemp("clones") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(checkout), str(clone)], check=True)
    assert fingerprint.of_checkout(clone) == fingerprint.of_checkout(checkout)


def test_every_input_is_in_the_tree() -> None:
    assert [name for name in fingerprint.INPUTS if not (ROOT / name).exists()] == []


def test_a_damaged_record_is_no_record(tmp_path: Path) -> None:
    record = tmp_path / "state" / "up.json"
    assert fingerprint.recorded(record) is None
    fingerprint.record(record, "abc")
    assert fingerprint.recorded(record) == "abc"
    for damaged in ("", "{", "[]", '{"fingerprint": 1}'):
        record.write_text(damaged)
        assert fingerprint.recorded(record) is None
