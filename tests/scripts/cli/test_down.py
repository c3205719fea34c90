"""A purge says what will be lost, and asks."""

from pathlib import Path

import pytest

from cli import down
from cli.failure import BadInput
from mlplatform.host import folders
from mlplatform.host.removal import Change
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


def test_without_a_terminal_only_yes_deletes() -> None:
    with pytest.raises(BadInput, match="nothing was deleted"):
        down._confirm(yes=False)
    down._confirm(yes=True)


class Host:
    """In the place of the playbook, which would change this very host: what it would change, and whether it did."""

    def __init__(self) -> None:
        self.purges: list[bool] = []
        self.found = [Change("Remove files outside the state directory", {"removed": ["/etc/kubernetes"]})]

    def changes(self, *_: object, purge: bool) -> list[Change]:
        return [*self.found, *([Change("Delete the accounts", {"name": "ml-platform-forge"})] if purge else [])]

    def playbook(self, *_: object, purge: bool) -> str:
        self.purges.append(purge)
        return "taken off"


@pytest.fixture
def host(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that is ready for the verb, with the link of a stack in its checkout."""
    down.folders.claim(paths.state, down.folders.STATE)
    (paths.state / "up.json").write_text("{}")
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "Pulumi.local.yaml").symlink_to("nowhere")
    monkeypatch.setenv("ML_PLATFORM_STATE_DIR", str(paths.state))
    monkeypatch.setenv("ML_PLATFORM_CACHE_DIR", str(paths.cache))
    monkeypatch.setattr(down.lock, "PATH", tmp_path / "lock" / "lock")
    monkeypatch.setattr(down.lock, "_FORMER", tmp_path / "former.lock")
    monkeypatch.setattr(down, "ROOT", tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made = Host()
    monkeypatch.setattr(down.ansible, "playbook", made.playbook)
    monkeypatch.setattr(down.ansible, "changes", made.changes)
    return made


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_d14_down_lists_what_goes_and_that_data_stay(
    host: Host, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["down"])
    before = files(tmp_path)
    assert down.main() == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert host.purges == [False]
    gone = before - files(tmp_path)
    assert gone == {paths.state / "up.json"}
    listed = said[: said.index("Take the platform off the host")]
    assert "This goes off the host; all data stays:\n  Remove files outside the state directory: /etc/kube" in listed
    assert f": {paths.state / 'up.json'}" in listed
    assert "accounts" not in said


def test_d14_a_purge_that_is_not_confirmed_has_listed_everything_and_changed_nothing(
    host: Host, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    monkeypatch.setattr("sys.argv", ["down", "--purge"])
    assert down.main() == 2
    said = capsys.readouterr().err
    assert host.purges == []
    assert files(tmp_path) == before
    assert list((tmp_path / "temporary").iterdir()) == []
    for line in (
        "Remove files outside the state directory: /etc/kubernetes",
        "Delete the accounts: ml-platform-forge",
        f"Delete the link: {tmp_path / 'clusters' / 'Pulumi.local.yaml'}",
        f"bucket ml-data ({paths.state / 'object-store' / 'buckets' / 'ml-data'})",
        "nothing was deleted",
    ):
        assert line in said


def test_d14_what_a_purge_deletes_is_in_its_list(
    host: Host, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    monkeypatch.setattr("sys.argv", ["down", "--purge", "--yes"])
    assert down.main() == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert host.purges == [True]
    listed = said[: said.index("Take the platform off the host")]
    gone = before - files(tmp_path)
    assert {path.name for path in gone} >= {"Pulumi.local.yaml", "object", "kubectl", "up.json"}
    for path in gone:
        if path not in (paths.state / folders.STATE.marker, paths.cache / folders.CACHE.marker):
            assert any(
                str(one) in listed
                for one in (path, *path.parents)
                if one.is_relative_to(tmp_path) and one not in (tmp_path, paths.state, paths.cache)
            ), path


def test_d14_where_nothing_is_left_it_says_so(
    host: Host, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.found = []
    (paths.state / "up.json").unlink()
    monkeypatch.setattr("sys.argv", ["down"])
    assert down.main() == 0
    assert "There is nothing of the platform to take off this host." in capsys.readouterr().err


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
    down._show([], lost, stays, keeps_data=False)
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
    for name in ("changes", "playbook"):
        monkeypatch.setattr(down.ansible, name, lambda *_, **__: pytest.fail("the host was touched"))
    assert down.main() == 2
    assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["diary", "hammer", "id", "thesis.tex"]


def test_s8_s9_a_purge_deletes_the_platforms_part_and_says_what_is_left(
    host: Host, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the playbook, which changes this very host, is left out."""
    (paths.state / "thesis.tex").write_text("mine")
    monkeypatch.setattr("sys.argv", ["down", "--purge", "--yes"])
    assert down.main() == 0, capsys.readouterr().err
    said = capsys.readouterr().err
    assert host.purges == [True]
    assert [path.name for path in paths.state.iterdir()] == ["thesis.tex"]
    assert not paths.cache.exists()
    assert f"left: {paths.state / 'thesis.tex'}" in " ".join(said.split())
    assert str(paths.state / "secrets") in said
