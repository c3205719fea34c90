"""Broken cluster and stack files, one mistake each: refused with one message that names file, key and fix.

A file's first line says what must be said about it.
"""

import shutil
from pathlib import Path

import pytest

from example import EXAMPLE
from settings import ROOT, SettingsError, check_stack_file, cluster_names, load_cluster, read_cluster

INVALID = ROOT / "tests" / "clusters" / "invalid"
ALONE = sorted(path for folder in ("local", "aws", "aws-shared") for path in (INVALID / folder).glob("*.yaml"))
STACKS = sorted((INVALID / "stack").glob("*.yaml"))
# Each folder is a case: files that take the place of the example's.
TOGETHER = sorted(INVALID.glob("together/*/*.yaml"))


def expected(path: Path) -> str:
    marker, _, text = path.read_text().partition("\n")[0].partition(": ")
    assert marker == "# expect"
    return text


def named(path: Path) -> str:
    return str(path.relative_to(INVALID).with_suffix(""))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the example's clusters, to be broken."""
    shutil.copytree(EXAMPLE / "clusters", tmp_path / "clusters")
    return tmp_path


@pytest.mark.parametrize("name", cluster_names(EXAMPLE))
def test_what_is_broken_here_was_well(name: str, root: Path) -> None:
    assert load_cluster(name, root).name == name
    check_stack_file(name, root)


def test_there_are_refusals_to_test() -> None:
    local = [path for path in ALONE if path.parent.name == "local"]
    assert len(local) >= 20
    assert len({*ALONE, *STACKS, *TOGETHER} - set(local)) >= 40
    assert {*ALONE, *STACKS, *TOGETHER} == set(INVALID.rglob("*.yaml"))


@pytest.mark.parametrize("path", ALONE, ids=named)
def test_a_broken_cluster_file_is_refused(path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_cluster(path, "clusters/broken/cluster.yaml")
    assert str(refused.value).startswith("clusters/broken/cluster.yaml: ")
    _is_one_message(refused.value, expected(path))


@pytest.mark.parametrize("path", TOGETHER, ids=named)
def test_files_that_contradict_each_other_are_refused(path: Path, root: Path) -> None:
    (root / "clusters" / path.stem).mkdir(exist_ok=True)
    shutil.copy(path, root / "clusters" / path.stem / "cluster.yaml")
    name = expected(path).split("/")[1]
    with pytest.raises(SettingsError) as refused:
        load_cluster(name, root)
    _is_one_message(refused.value, expected(path))


@pytest.mark.parametrize("path", STACKS, ids=named)
def test_a_broken_stack_file_is_refused(path: Path, root: Path) -> None:
    shutil.copy(path, root / "clusters" / "Pulumi.dev.yaml")
    with pytest.raises(SettingsError) as refused:
        check_stack_file("dev", root)
    assert str(refused.value).startswith("clusters/Pulumi.dev.yaml: ")
    assert "hunter2" not in str(refused.value)
    _is_one_message(refused.value, expected(path))


def test_a_missing_stack_file_is_refused(root: Path) -> None:
    (root / "clusters" / "Pulumi.prod.yaml").unlink()
    with pytest.raises(SettingsError) as refused:
        check_stack_file("prod", root)
    _is_one_message(refused.value, "clusters/Pulumi.prod.yaml: is missing; write into it  secretsprovider: awskms:///")


def test_the_shared_stack_has_no_secrets(root: Path) -> None:
    with (root / "clusters" / "Pulumi.shared.yaml").open("a") as file:
        file.write("encryptedkey: QVFJQ0FIaA==\nconfig:\n  ml-platform:forgeToken:\n    secure: v1:YQ==:YQ==\n")
    with pytest.raises(SettingsError, match=r"config.ml-platform:forgeToken: facts live in clusters/shared"):
        check_stack_file("shared", root)


def _is_one_message(error: SettingsError, text: str) -> None:
    assert text in str(error)
    assert len(str(error).splitlines()) == 1, "one mistake, one line"
