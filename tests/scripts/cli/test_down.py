"""A purge says what will be lost, and asks."""

from pathlib import Path

import pytest

from cli import down
from cli.failure import BadInput
from settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    files = {
        "state/object-store/buckets/ml-data/object": 40_000,
        "state/gitea/repository": 9_000,
        "state/registry/data/docker/registry/v2/repositories/argoproj/argocd/_manifests/x": 1,
        "state/secrets/password": 1,
        "state/etcd/data": 20_000,
        "cache/tools/kubectl": 50_000,
    }
    for name, length in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * length)
    return Paths(state=tmp_path / "state", cache=tmp_path / "cache")


def test_everything_that_is_lost_is_named_with_its_size(paths: Paths) -> None:
    lost = {one.name: one.size for one in down.losses(paths, keep_cache=False)}
    assert lost["bucket ml-data"] >= 40_000
    assert lost["the forge: repository, pull requests, accounts"] >= 9_000
    assert lost["the cluster and everything else in the state directory"] >= 20_000
    assert lost["cache: tools"] >= 50_000
    assert any(name.startswith("registry: 1 images (argoproj/argocd)") for name in lost)
    assert "Pulumi's state" not in lost


def test_the_parts_add_up_to_the_whole(paths: Paths) -> None:
    assert sum(one.size for one in down.losses(paths, keep_cache=True)) == down.size(paths.state)


def test_kept_caches_are_not_lost(paths: Paths) -> None:
    assert not any(one.name.startswith("cache") for one in down.losses(paths, keep_cache=True))


def test_hard_links_count_once_and_missing_folders_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 8192)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert down.size(tmp_path) == 8192
    assert down.size(tmp_path / "missing") == 0


def test_without_a_terminal_only_yes_deletes(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    lost = down.losses(paths, keep_cache=True)
    with pytest.raises(BadInput, match="nothing was deleted"):
        down._confirm(lost, yes=False)
    assert "bucket ml-data" in capsys.readouterr().err
    down._confirm(lost, yes=True)


@pytest.mark.parametrize(
    ("count", "shown"), [(12, "12 B"), (2048, "2.0 KiB"), (5 * 2**20, "5.0 MiB"), (3 * 2**40, "3072.0 GiB")]
)
def test_sizes_for_people(count: int, shown: str) -> None:
    assert down.human(count) == shown


def test_deleting_what_is_gone_is_fine(tmp_path: Path) -> None:
    down._delete(tmp_path / "missing")
