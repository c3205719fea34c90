"""The forge's main is pushed once, from any kind of clone, and never overwritten."""

import os
import subprocess
from pathlib import Path

import pytest

from cli import first_push, git

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@localhost")


def sh(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    sh(folder, "add", name)
    sh(folder, "commit", "--quiet", "-m", name)
    return sh(folder, "rev-parse", "HEAD")


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    folder = tmp_path / "forge.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)
    commit(folder, "one")
    commit(folder, "two")
    return folder


class Push:
    """The two functions under test, with the same forge and record."""

    def __init__(self, forge: Path, record: Path) -> None:
        self.url, self.record, self.said = f"file://{forge}", record, list[str]()

    def push(self, clone: Path) -> bool:
        source = git.checkout(clone)
        with git.scratch(source) as scratch:
            return first_push.push(source, scratch, self.url, self.record, self.said.append)

    def advice(self, clone: Path) -> str:
        source = git.checkout(clone)
        with git.scratch(source) as scratch:
            return first_push.advice(source, scratch, self.url, self.record)


@pytest.fixture
def forge_push(forge: Path, tmp_path: Path) -> Push:
    return Push(forge, tmp_path / "state" / "first-push.json")


def test_a_complete_clone_is_pushed_with_its_history(forge: Path, source: Path, forge_push: Push) -> None:
    assert forge_push.push(source)
    assert sh(forge, "rev-parse", "main") == sh(source, "rev-parse", "HEAD")
    assert forge_push.said == []


def test_main_is_never_overwritten(forge: Path, source: Path, forge_push: Push) -> None:
    forge_push.push(source)
    first = sh(forge, "rev-parse", "main")
    commit(source, "three")
    assert not forge_push.push(source)
    assert sh(forge, "rev-parse", "main") == first


def test_a_detached_head_is_what_is_pushed(forge: Path, source: Path, forge_push: Push) -> None:
    sh(source, "checkout", "--quiet", "--detach", "HEAD~1")
    assert forge_push.push(source)
    assert sh(forge, "rev-parse", "main") == sh(source, "rev-parse", "HEAD")


def test_a_shallow_clone_gives_one_commit_with_the_same_files(
    forge: Path, source: Path, forge_push: Push, tmp_path: Path
) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{source}", str(shallow)], check=True)
    assert forge_push.push(shallow)
    assert sh(forge, "rev-list", "--count", "main") == "1"
    assert sh(forge, "rev-parse", "main^{tree}") == sh(source, "rev-parse", "HEAD^{tree}")
    assert "lacks history" in forge_push.said[0]
    assert forge_push.advice(shallow) == ""


def test_uncommitted_changes_stay_here_and_a_line_says_so(forge: Path, source: Path, forge_push: Push) -> None:
    (source / "one").write_text("changed")
    (source / "draft").write_text("new")
    before = sh(source, "status", "--porcelain")
    forge_push.push(source)
    assert "draft" not in sh(forge, "ls-tree", "--name-only", "main")
    assert sh(forge, "show", "main:one") == "one"
    assert "one, draft" in forge_push.said[0]
    assert sh(source, "status", "--porcelain") == before


def test_the_checkout_gets_no_new_object_or_reference(source: Path, forge_push: Push, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{source}", str(shallow)], check=True)

    def snapshot() -> set[str]:
        return {str(path) for path in (shallow / ".git").rglob("*")}

    before = snapshot()
    forge_push.push(shallow)
    forge_push.advice(shallow)
    assert snapshot() == before


def test_no_advice_while_main_has_the_checkout(source: Path, forge: Path, forge_push: Push, tmp_path: Path) -> None:
    forge_push.push(source)
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", f"file://{forge}", str(other)], check=True)
    commit(other, "merged")
    sh(other, "push", "--quiet", "origin", "main")
    assert forge_push.advice(source) == ""
    assert forge_push.advice(other) == ""


def test_a_newer_checkout_is_told_how_to_propose_itself(source: Path, forge_push: Push) -> None:
    forge_push.push(source)
    head = commit(source, "three")
    advice = forge_push.advice(source)
    assert f"git push {forge_push.url} HEAD:refs/heads/update-{head[:10]}" in advice


def test_the_advice_for_unrelated_history_works(source: Path, forge: Path, forge_push: Push, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{source}", str(shallow)], check=True)
    forge_push.push(shallow)
    head = commit(shallow, "three")
    commands = [line.strip() for line in forge_push.advice(shallow).splitlines() if line.startswith("  ")]
    environment = {**os.environ, "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@localhost"}
    for command in commands:
        subprocess.run(["sh", "-c", command], cwd=shallow, check=True, env=environment)
    assert sh(forge, "show", f"update-{head[:10]}:three") == "three"
    assert sh(forge, "merge-base", "main", f"update-{head[:10]}") == sh(forge, "rev-parse", "main")
