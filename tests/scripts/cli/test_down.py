"""A purge says what will be lost, and asks."""

from pathlib import Path

import pytest

from cli import down
from cli.failure import BadInput
from mlplatform.host import folders
from settings import Paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    # This host may have a platform, whose record names what is outside of its folders.
    monkeypatch.setattr(folders, "RECORD", tmp_path / "record")
    files = {
        "state/object-store/buckets/ml-data/object": 40_000,
        "state/gitea/repository": 9_000,
        "state/registry/data/docker/registry/v2/repositories/argoproj/argocd/_manifests/x": 1,
        "state/secrets/pulumi-passphrase": 1,
        "state/etcd/data": 20_000,
        "cache/tools/kubectl": 50_000,
        "cache/venvs/ops/python": 1,
    }
    for name, length in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * length)
    return Paths(state=tmp_path / "state", cache=tmp_path / "cache")


def test_everything_that_is_lost_is_named_with_its_size(paths: Paths) -> None:
    lost = {one.name: one.size for one in down.losses(paths, keep_cache=False)}
    assert lost["bucket ml-data"] >= 40_000
    assert lost["the forge: repository, pull requests, accounts"] >= 9_000
    assert lost["the cluster's objects"] >= 20_000
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
        down._confirm(lost, [], yes=False)
    assert "bucket ml-data" in capsys.readouterr().err
    down._confirm(lost, [], yes=True)


@pytest.mark.parametrize(
    ("count", "shown"), [(12, "12 B"), (2048, "2.0 KiB"), (5 * 2**20, "5.0 MiB"), (3 * 2**40, "3072.0 GiB")]
)
def test_sizes_for_people(count: int, shown: str) -> None:
    assert down.human(count) == shown


def test_s9_what_is_not_the_platforms_is_named_and_not_among_the_losses(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    (paths.state / ".notes").write_text("mine")
    (paths.cache / "thesis.tex").write_text("mine")
    assert down.kept(paths, keep_cache=True) == [paths.state / ".notes"]
    stays = down.kept(paths, keep_cache=False)
    assert stays == [paths.state / ".notes", paths.cache / "thesis.tex"]
    lost = down.losses(paths, keep_cache=False)
    assert not {one.path for one in lost} & set(stays)
    down._confirm(lost, stays, yes=True)
    assert f"the platform did not make it: {paths.cache / 'thesis.tex'}" in capsys.readouterr().err


@pytest.mark.parametrize(("variable", "keeps"), [("state", ["--keep-cache"]), ("cache", [])])
def test_s9_s24_a_purge_of_somebody_elses_folder_is_refused_before_anything_happens(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, keeps: list[str]
) -> None:
    home = tmp_path / "home"
    for name in (".ssh/id", "thesis.tex", "tools/hammer", "secrets/diary"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("mine")
    folder = home if variable == "cache" else paths.cache
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(home if variable == "state" else tmp_path / "no-state"))
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", str(folder))
    monkeypatch.setattr(down.lock, "PATH", tmp_path / "lock" / "lock")
    monkeypatch.setattr(down.lock, "_FORMER", tmp_path / "former.lock")
    monkeypatch.setattr("sys.argv", ["down", "--purge", "--yes", *keeps])
    monkeypatch.setattr(down.ansible, "playbook", lambda *_, **__: pytest.fail("the host was changed"))
    assert down.main() == 2
    assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["diary", "hammer", "id", "thesis.tex"]


def test_s8_s9_a_purge_deletes_the_platforms_part_and_says_what_is_left(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the playbook, which changes this very host, is left out."""
    down.folders.claim(paths.state, down.folders.STATE)
    (paths.state / "thesis.tex").write_text("mine")
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(paths.state))
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", str(paths.cache))
    monkeypatch.setattr(down.lock, "PATH", tmp_path / "lock" / "lock")
    monkeypatch.setattr(down.lock, "_FORMER", tmp_path / "former.lock")
    monkeypatch.setattr(down, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["down", "--purge", "--yes"])
    asked: list[bool] = []
    monkeypatch.setattr(down.ansible, "playbook", lambda *_, purge: asked.append(purge) or "taken off")
    assert down.main() == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert asked == [True]
    assert [path.name for path in paths.state.iterdir()] == ["thesis.tex"]
    assert not paths.cache.exists()
    assert f"left: {paths.state / 'thesis.tex'}" in " ".join(said.split())
    assert str(paths.state / "secrets") in said
