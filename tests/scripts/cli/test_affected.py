"""What `scripts/test affected` finds changed in a real repository."""

import os
import subprocess
from pathlib import Path

import pytest

from cli import affected
from cli.failure import BadInput
from mlplatform.releases import NEW_OVERLAY
from settings import ROOT

OVERLAY = "apps/classifier/overlays/dev/kustomization.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A branch that left main a commit ago."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, {"README.md": "one\n", OVERLAY: overlay("a")})
    git(tmp_path, "checkout", "--quiet", "-b", "change")
    return tmp_path


def overlay(letter: str) -> str:
    return NEW_OVERLAY.format(image="classifier", digest=f"sha256:{letter * 64}")


def git(root: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t.invalid", *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commit(root: Path, files: dict[str, str]) -> None:
    write(root, files)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "one")


def test_b6_what_differs_from_where_the_branch_left_main_counts_committed_or_not(root: Path) -> None:
    assert affected.since(root).jobs == ()
    commit(root, {"ml/params.yaml": "a: 1\n"})
    assert affected.since(root).jobs == ()
    write(root, {"docs/adr/0001-x.md": "x\n"})
    assert affected.since(root).jobs == ("unit",)
    commit(root, {"ml/src/x.py": "x = 1\n"})
    assert affected.since(root).jobs == ("check", "unit")
    assert affected.since(root, "HEAD").jobs == ()
    # What main won meanwhile is none of the branch's.
    git(root, "checkout", "--quiet", "main")
    commit(root, {"infra/x.py": "x = 1\n"})
    git(root, "checkout", "--quiet", "change")
    assert affected.since(root).jobs == ("check", "unit")


def test_b6_another_digest_is_no_change_of_code(root: Path) -> None:
    commit(root, {OVERLAY: overlay("b")})
    assert affected.since(root).jobs == ()
    write(root, {OVERLAY: overlay("b") + "patches: []\n"})
    assert affected.since(root).jobs == ("check", "render")


def test_a_commit_that_is_not_there_and_a_repository_without_main_are_refused(root: Path) -> None:
    with pytest.raises(BadInput, match="there is no commit nowhere"):
        affected.since(root, "nowhere")
    git(root, "branch", "--quiet", "-D", "main")
    with pytest.raises(BadInput, match="there is no branch main"):
        affected.since(root)


def test_in_the_place_of_tests_that_are_gone_their_folder_is_run(root: Path) -> None:
    write(root, {"tests/a/test_a.py": "", "tests/b/test_b.py": ""})
    assert affected.targets(root, ("tests/a/test_gone.py", "tests/b/test_b.py")) == ["tests/a", "tests/b/test_b.py"]
    assert affected.targets(root, ("tests/gone/x/test_gone.py",)) == []
    assert affected.targets(root, ("tests",)) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["unit", "--since=HEAD"], "--since is a part of affected"),
        (["affected", "core"], "affected has no part core"),
        (["affected", "--since=nowhere"], "--since: there is no commit nowhere"),
    ],
)
def test_the_command_refuses_what_it_cannot_run(arguments: list[str], error: str, tmp_path: Path) -> None:
    environment = os.environ | {"ML_PLATFORM_ARTIFACTS": str(tmp_path)}
    done = subprocess.run([ROOT / "scripts/test", *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {error}"), done.stderr
