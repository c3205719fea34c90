"""What the rules take a stack for, by its cluster file."""

import shutil
from pathlib import Path

import pytest

from example import ACCOUNT, CLAIM, EXAMPLE
from policy import stacks
from policy.stacks import STRICT, Facts
from settings import SettingsError


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("local", Facts(local=True, production=False, protect=False)),
        ("shared", Facts(local=False, production=True, protect=True)),
        ("dev", Facts(local=False, production=False, protect=False)),
        ("prod", Facts(local=False, production=True, protect=True)),
    ],
)
def test_a_cluster_file_says_what_is_asked(stack: str, expected: Facts) -> None:
    assert stacks.facts(stack, EXAMPLE) == expected


def test_nothing_is_forgiven_without_one() -> None:
    assert stacks.facts(ACCOUNT) == STRICT == Facts(local=False, production=True, protect=True)


def test_production_stays_so_where_a_merged_change_lifted_its_protection(tmp_path: Path) -> None:
    for name in ("shared", "dev", "staging"):
        shutil.copytree(EXAMPLE / "clusters" / name, tmp_path / "clusters" / name)
    path = tmp_path / "clusters" / "staging" / "cluster.yaml"
    path.write_text(path.read_text().replace("protect: false", "protect: true"))
    shared = tmp_path / "clusters" / "shared" / "cluster.yaml"
    shared.write_text(shared.read_text().replace("[dev, staging, prod]", "[dev, staging]"))
    assert stacks.facts("staging", tmp_path) == Facts(production=True, protect=True)


def test_a_wrong_cluster_file_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "clusters" / "dev"
    folder.mkdir(parents=True)
    (folder / "cluster.yaml").write_text("provider: elsewhere\n")
    with pytest.raises(SettingsError, match=r"clusters/dev/cluster.yaml: provider"):
        stacks.facts("dev", tmp_path)


def test_the_repository_is_that_of_the_clusters_on_aws(tmp_path: Path) -> None:
    assert stacks.repository(EXAMPLE) == CLAIM
    assert stacks.repository(tmp_path) is None


def test_the_accounts_are_those_of_the_clusters_on_aws(tmp_path: Path) -> None:
    assert stacks.accounts(EXAMPLE) == {ACCOUNT}
    assert stacks.accounts(tmp_path) == set()
