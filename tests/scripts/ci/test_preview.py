"""What is previewed is the merge with main, whatever main has won since the branch left it."""

import subprocess
from pathlib import Path

import pytest

from ci import preview
from ci.failure import Failure
from ci.git import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """`main` with a file that the branch `change` has not seen."""
    found = Repository(tmp_path)
    for command in ("init -q -b main", "config user.name t", "config user.email t@t.invalid"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    commit(found, "base", "1\n")
    found.git("branch", "change")
    commit(found, "later", "main's\n")
    found.git("checkout", "-q", "change")
    commit(found, "mine", "the branch's\n")
    return found


def commit(repository: Repository, name: str, text: str) -> None:
    (repository.folder / name).write_text(text)
    repository.git("add", name)
    repository.git("commit", "-q", "-m", name)


def test_the_merge_has_what_both_have(repository: Repository) -> None:
    main, head = repository.commit("main"), repository.commit("change")
    assert main
    assert head
    made = preview.merged(repository, main, head)
    names = repository.git("ls-tree", "--name-only", made).decode().split()
    assert names == ["base", "later", "mine"]
    assert repository.git("log", "-1", "--format=%P", made).decode().split() == [main, head]
    # Nothing is checked out and no branch moved.
    assert repository.commit("HEAD") == head


def test_a_conflict_says_what_to_do(repository: Repository) -> None:
    commit(repository, "later", "the branch's\n")
    main, head = repository.commit("main"), repository.commit("change")
    assert main
    assert head
    with pytest.raises(Failure, match="this branch conflicts with main: merge main into it"):
        preview.merged(repository, main, head)


def test_one_stack_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without credentials every stack fails, each with its reason; none is left out."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    found = preview.previews(["nowhere", "dev"], tmp_path)
    assert "there is no cluster 'nowhere'" in found["nowhere"].error
    assert "no AWS credentials for dev" in found["dev"].error
