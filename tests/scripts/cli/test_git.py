"""Git runs beside the caller's checkout, never in it."""

import subprocess
from pathlib import Path

import pytest

from cli import git
from cli.failure import Failure


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    commands = [
        ["git", "init", "--quiet", "--initial-branch=main", str(folder)],
        ["git", "-C", str(folder), "commit", "--quiet", "--allow-empty", "-m", "one"],
        ["git", "-C", str(folder), "commit", "--quiet", "--allow-empty", "-m", "two"],
    ]
    for command in commands:
        subprocess.run([command[0], "-c", "user.name=t", "-c", "user.email=t@localhost", *command[1:]], check=True)
    return folder


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="not a git checkout"):
        git.checkout(tmp_path)


def test_a_full_clone_has_its_history_and_a_shallow_one_has_not(source: Path, tmp_path: Path) -> None:
    assert git.has_whole_history(git.checkout(source))
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{source}", str(shallow)], check=True)
    assert not git.has_whole_history(git.checkout(shallow))


def test_uncommitted_files_are_listed(source: Path) -> None:
    (source / "new file").write_text("x")
    assert git.uncommitted(git.checkout(source)) == ["new file"]


def test_a_scratch_repository_sees_the_objects_and_leaves_nothing(source: Path) -> None:
    repository = git.checkout(source)
    head = repository.git("rev-parse", "HEAD")
    with git.scratch(repository) as scratch:
        assert scratch.commit(head) == head
        folder = scratch.folder
    assert not folder.exists()


def test_a_login_is_sent_to_its_own_url_only() -> None:
    variables = git.Login("member", "p:w").environment("http://forge:3000/")
    assert variables["GIT_CONFIG_KEY_0"] == "http.http://forge:3000/.extraHeader"
    assert variables["GIT_CONFIG_VALUE_0"] == "Authorization: Basic bWVtYmVyOnA6dw=="


def test_variables_of_a_surrounding_git_do_not_reach_ours(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert git.checkout(source).commit("HEAD")
