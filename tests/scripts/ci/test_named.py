"""What commits name is read from every commit, whatever became of it later."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ci import named
from ci.failure import Failure
from ci.git import Repository

Git = Callable[..., str]
MD5 = [f"{number:032x}" for number in range(10)]
DIGEST = f"sha256:{'d' * 64}"


@pytest.fixture
def git(tmp_path: Path) -> Git:
    def run(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


def commit(git: Git, folder: Path, **files: str | None) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dvc", ".dvc").replace("_lock", ".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True) if text is None else path.write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", "c")


def test_d17_every_version_of_every_file_counts(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, ml__data_dvc=f"outs:\n- md5: {MD5[0]}.dir\n  path: data\n")
    commit(git, tmp_path, ml__data_dvc=f"outs: [{{md5: {MD5[1]}, path: data}}]\n")
    commit(git, tmp_path, ml__data_dvc=None, other__dvc_lock=f"broken: [\n md5: '{MD5[2]}'\n")
    commit(git, tmp_path, README=f"{MD5[3]}")
    repository = Repository(tmp_path)
    assert named.objects(repository, ["HEAD"]) == {f"{MD5[0]}.dir", MD5[1], MD5[2]}
    assert named.objects(repository, ["HEAD~3"]) == {f"{MD5[0]}.dir"}


def test_d17_what_only_a_merge_brought_in_counts(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, a_dvc=MD5[0])
    git("checkout", "--quiet", "-b", "side")
    commit(git, tmp_path, a_dvc=MD5[1])
    git("checkout", "--quiet", "main")
    commit(git, tmp_path, a_dvc=MD5[2])
    subprocess.run(["git", "merge", "--quiet", "--no-commit", "side"], cwd=tmp_path, capture_output=True)
    commit(git, tmp_path, a_dvc=MD5[3], b_dvc=MD5[4])
    commit(git, tmp_path, a_dvc=None, b_dvc=None)
    assert named.objects(Repository(tmp_path), ["main"]) == set(MD5[:5])


def test_d17_a_file_whose_content_another_path_has_too_counts(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, a_copy=MD5[0], b_dvc=MD5[0])
    assert named.objects(Repository(tmp_path), ["main"]) == {MD5[0]}


def test_d17_tags_count_also_of_what_is_no_commit(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, a_dvc=MD5[0])
    git("checkout", "--quiet", "--detach")
    commit(git, tmp_path, a_dvc=MD5[1])
    git("tag", "-m", "t", "released")
    git("tag", "file", git("rev-parse", "HEAD:a.dvc"))
    git("checkout", "--quiet", "main")
    assert named.objects(Repository(tmp_path), ["main", "--tags"]) == {MD5[0], MD5[1]}
    assert named.objects(Repository(tmp_path), ["main"]) == {MD5[0]}


def test_d17_a_checkout_without_all_history_says_nothing(git: Git, tmp_path: Path) -> None:
    for md5 in MD5[:3]:
        commit(git, tmp_path, a_dvc=md5)
    git("clone", "--quiet", "--depth=1", f"file://{tmp_path}", str(tmp_path / "shallow"))
    with pytest.raises(Failure, match="lacks history"):
        named.objects(Repository(tmp_path / "shallow"), ["HEAD"])


def test_d17_a_file_that_is_lost_is_a_failure(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, a_dvc=MD5[0])
    blob = git("rev-parse", "HEAD:a.dvc")
    (tmp_path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(Failure, match=f"{blob} missing"):
        named.objects(Repository(tmp_path), ["HEAD"])


def test_d17_images_are_those_of_every_overlay_that_ever_was(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, apps__classifier__overlays__dev__kustomization=f"digest: {DIGEST}")
    commit(git, tmp_path, apps__classifier__overlays__dev__kustomization=None, docs=DIGEST.replace("d", "e"))
    assert named.images(Repository(tmp_path), ["HEAD"]) == {DIGEST}
