"""What commits name is read from every commit, whatever became of it later."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ci import named
from ci.failure import Failure
from ci.git import PIECE, Remote, Repository

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
    with pytest.raises(subprocess.CalledProcessError) as conflict:
        git("merge", "--quiet", "--no-commit", "side")
    assert "CONFLICT" in conflict.value.stdout
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


def test_d17_a_file_of_any_size_is_searched(git: Git, tmp_path: Path) -> None:
    """One that is too large to read would keep everything from being pruned, whoever pushed it."""
    text = bytearray(b"-" * 17 * PIECE)
    for number, md5 in enumerate(MD5):
        # The later, the less of it lies before the next piece.
        start = (number + 1) * PIECE - 38 + 4 * number
        text[start : start + 36] = f"{md5}.dir".encode()
    (tmp_path / "a.dvc").write_bytes(text)
    commit(git, tmp_path)
    found = named.objects(Repository(tmp_path), ["HEAD"])
    assert found >= {f"{md5}.dir" for md5 in MD5}
    assert found <= {name for md5 in MD5 for name in (md5, f"{md5}.dir")}


def test_d17_only_names_that_matter_are_kept_in_mind(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, a_dvc=" ".join(MD5))
    assert named.objects(Repository(tmp_path), ["HEAD"], frozenset({MD5[3], "f" * 32})) == {MD5[3]}


def made(git: Git, tmp_path: Path, *entries: str) -> str:
    """A tree of these entries, as git itself would not always make it."""
    lines = "".join(f"{entry}\n" for entry in entries)
    command = ["git", "mktree", "--missing"]
    return subprocess.run(command, cwd=tmp_path, input=lines, capture_output=True, text=True, check=True).stdout.strip()


def test_d17_a_tree_that_unfolds_to_more_files_than_there_is_room_for_is_read_once(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten folders in each of ten folders, twelve deep, all the same: a few hundred bytes."""
    commit(git, tmp_path, a_dvc=MD5[0])
    tree = git("rev-parse", "HEAD^{tree}")
    for _ in range(12):
        tree = made(git, tmp_path, *(f"040000 tree {tree}\t{number}" for number in range(10)))
    git("update-ref", "refs/heads/main", git("commit-tree", "-m", "c", tree))
    monkeypatch.setattr("ci.git.TIMEOUT", 5.0)
    assert named.objects(Repository(tmp_path), ["main"]) == {MD5[0]}


def test_d17_what_git_would_not_make_is_fetched_and_searched(git: Git, tmp_path: Path) -> None:
    """Two files of one name: forges take it."""
    commit(git, tmp_path, a_dvc=MD5[0], b_dvc=MD5[1])
    blobs = [git("rev-parse", f"HEAD:{name}.dvc") for name in "ab"]
    tree = made(git, tmp_path, *(f"100644 blob {blob}\ta.dvc" for blob in blobs))
    git("update-ref", "refs/heads/main", git("commit-tree", "-m", "c", tree))
    git("init", "--quiet", "--initial-branch=main", str(tmp_path / "job"))
    repository, source = Repository(tmp_path / "job"), Remote(f"file://{tmp_path}", "secret")
    with pytest.raises(Failure, match="duplicateEntries"):
        repository.fetch(source, "main:refs/job/checked")
    repository.fetch(source, "main:refs/job/main", well_formed=False)
    assert named.objects(repository, ["refs/job/main"]) == {MD5[0], MD5[1]}


def test_d17_a_folder_that_is_lost_is_a_failure(git: Git, tmp_path: Path) -> None:
    tree = made(git, tmp_path, f"040000 tree {'e' * 40}\tml")
    git("update-ref", "refs/heads/main", git("commit-tree", "-m", "c", tree))
    with pytest.raises(Failure, match=f"{'e' * 40} missing"):
        named.objects(Repository(tmp_path), ["main"])


def test_d17_images_are_named_by_manifests_alone(git: Git, tmp_path: Path) -> None:
    digests = [f"sha256:{letter * 64}" for letter in "abcdef"]
    commit(
        git,
        tmp_path,
        **dict(zip(("apps__x__base__y__z", "apps__y__overlays__a"), digests, strict=False)),
        apps__x__src__base=digests[2],
        apps__base=digests[3],
        other__apps__x__base__y=digests[4],
        base__y=digests[5],
    )
    assert named.images(Repository(tmp_path), ["HEAD"]) == set(digests[:2])


def test_d17_images_are_those_of_every_overlay_that_ever_was(git: Git, tmp_path: Path) -> None:
    commit(git, tmp_path, apps__classifier__overlays__dev__kustomization=f"digest: {DIGEST}")
    commit(git, tmp_path, apps__classifier__overlays__dev__kustomization=None, docs=DIGEST.replace("d", "e"))
    assert named.images(Repository(tmp_path), ["HEAD"]) == {DIGEST}
