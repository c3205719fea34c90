"""Only what is provably the platform's is deleted, and what is still there is never called deleted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform.host import folders
from mlplatform.host.folders import CACHE, STATE, Kind
from settings import ROOT, SettingsError

NO_RECORD = Path("/nonexistent")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_that_up_makes_is_known_and_goes_whole(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folders.claim(folder, STATE)
    fill(folder, "secrets/a", "gitea/b")
    assert folders.is_ours(folder, STATE, NO_RECORD)
    assert folders.purge(folder, STATE) == []
    assert not folder.exists()


@pytest.mark.parametrize("kind", [STATE, CACHE], ids=lambda kind: kind.name)
def test_s9_foreign_files_are_named_and_stay_also_hidden_ones(tmp_path: Path, kind: Kind) -> None:
    folders.claim(tmp_path, kind)
    fill(tmp_path, "logs/a", ".ssh/id", "thesis.tex")
    assert names(folders.foreign(tmp_path, kind)) == [".ssh", "thesis.tex"]
    assert names(folders.purge(tmp_path, kind)) == [".ssh", "thesis.tex"]
    assert sorted(names(list(tmp_path.iterdir()))) == [".ssh", "thesis.tex"]


def test_s9_a_cache_that_is_not_the_platforms_alone_and_has_no_marker_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "tools/a", "venvs/b", ".ssh/id", "thesis.tex")
    with pytest.raises(SettingsError, match=r"ML_PLATFORM_CACHE_DIR: nothing shows that .*\.ssh, thesis\.tex.*nothing"):
        folders.purge(tmp_path, CACHE)
    assert (tmp_path / "tools" / "a").exists()


@pytest.mark.parametrize("entries", [["secrets/key", "app.py"], ["secrets/key"], ["logs/a"], ["app.py", "logs/a"]])
def test_s24_a_foreign_folder_with_the_names_of_the_state_is_refused(tmp_path: Path, entries: list[str]) -> None:
    fill(tmp_path, *entries)
    with pytest.raises(SettingsError, match="ML_PLATFORM_STATE_DIR: nothing shows that"):
        folders.purge(tmp_path, STATE)
    assert all((tmp_path / entry).exists() for entry in entries)


def test_s24_an_empty_folder_of_somebody_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert folders.purge(folder, STATE) == []
    assert folder.is_dir()


def test_a_state_of_before_there_were_markers_is_adopted(tmp_path: Path) -> None:
    fill(tmp_path, "secrets/pulumi-passphrase", "gitea/a", "up.json")
    assert folders.is_ours(tmp_path, STATE, NO_RECORD)
    folders.claim(tmp_path, STATE, NO_RECORD)
    assert (tmp_path / STATE.marker).is_file()


def test_the_hosts_record_shows_whose_state_it_is(tmp_path: Path) -> None:
    folder, record = fill(tmp_path / "state", "secrets/a", "notes.txt"), tmp_path / "record.json"
    record.write_text(f'{{"state_dir": "{folder}"}}')
    assert folders.is_ours(folder, STATE, record)
    assert not folders.is_ours(tmp_path, STATE, record)
    assert not folders.is_ours(folder, STATE, NO_RECORD)


def test_a_cache_that_the_first_command_made_is_adopted(tmp_path: Path) -> None:
    fill(tmp_path, "bootstrap/uv", "venvs/ops/python", "uv/a")
    folders.claim(tmp_path, CACHE)
    assert (tmp_path / CACHE.marker).is_file()


def test_up_refuses_a_folder_of_somebody_else_and_takes_an_empty_disk(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"holds what is not the platform's \(app.py\); set it to an empty folder"):
        folders.claim(fill(tmp_path / "app", "app.py"), STATE, NO_RECORD)
    assert names(list((tmp_path / "app").iterdir())) == ["app.py"]
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    folders.claim(tmp_path / "disk", STATE, NO_RECORD)
    assert (tmp_path / "disk" / STATE.marker).is_file()


def test_s8_up_makes_no_new_platform_where_the_disk_of_the_old_is_not_mounted(tmp_path: Path) -> None:
    folder, record = tmp_path / "state", tmp_path / "record.json"
    record.write_text(f'{{"state_dir": "{folder}"}}')
    for make in (lambda: None, folder.mkdir):
        make()
        with pytest.raises(SettingsError, match=r"state is empty, but .* mount its disk"):
            folders.refuse_missing(folder, record)
    folders.refuse_missing(folder, NO_RECORD)
    folders.claim(folder, STATE, record)
    folders.refuse_missing(folder, record)


def test_a_link_in_the_folder_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    target = fill(tmp_path / "target", "a")
    folder = tmp_path / "state"
    folders.claim(folder, STATE)
    (folder / "gitea").symlink_to(target)
    folders.purge(folder, STATE)
    assert (target / "a").exists()
    assert not folder.exists()


def test_s8_a_state_directory_behind_a_link_is_emptied_where_it_is(tmp_path: Path) -> None:
    disk, link = tmp_path / "disk", tmp_path / "state"
    disk.mkdir()
    link.symlink_to(disk)
    folders.claim(link, STATE)
    fill(link, "secrets/a")
    assert folders.purge(link, STATE) == []
    assert list(disk.iterdir()) == []


MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/vda rw
30 21 0:30 / {0} rw - tmpfs tmpfs rw
31 30 0:31 / {0}/kubelet/pods/a rw - tmpfs tmpfs rw
32 21 0:32 / {0}-of-another/data rw - tmpfs tmpfs rw
34 31 0:34 / {0}/object-store/with\\040space rw - ext4 /dev/vdb rw
"""


def test_s8_mounts_inside_are_found_and_the_folders_own_is_none(tmp_path: Path) -> None:
    table = MOUNTS.format(tmp_path)
    assert folders.mounts_in(tmp_path, frozenset({"kubelet"}), table) == [f"{tmp_path}/object-store/with space"]


def mounted(script: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own; it finds a Python program as $PROGRAM."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHON": sys.executable, "PROGRAM": program}
    command = ["unshare", "--mount", "bash", "-euc", script]
    return subprocess.run(command, env=variables, capture_output=True, text=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@needs_root
def test_s8_a_state_directory_that_is_a_mount_is_emptied_and_stays_mounted(tmp_path: Path) -> None:
    program = (
        f"from pathlib import Path; from mlplatform.host import folders; p = Path({str(tmp_path)!r});"
        "folders.claim(p, folders.STATE); (p / 'secrets').mkdir(); (p / 'secrets' / 'a').touch();"
        "print(folders.purge(p, folders.STATE), sorted(p.iterdir()), p.is_mount())"
    )
    done = mounted(f'mount -t tmpfs t {tmp_path}; "$PYTHON" -c "$PROGRAM"', program)
    assert done.stdout == "[] [] True\n", done.stderr


@needs_root
def test_s8_a_disk_mounted_inside_the_state_directory_stops_a_purge(tmp_path: Path) -> None:
    program = (
        f"from pathlib import Path; from mlplatform.host import folders; p = Path({str(tmp_path)!r});"
        "folders.claim(p, folders.STATE); folders.purge(p, folders.STATE)"
    )
    inside = tmp_path / "gitea"
    inside.mkdir()
    script = f'mount -t tmpfs t {inside}; touch {inside}/a; "$PYTHON" -c "$PROGRAM" || ls {inside}'
    done = mounted(script, program)
    assert f"{tmp_path}/gitea: is mounted inside {tmp_path}" in done.stderr
    assert done.stdout == "a\n"


def used(pattern: str, *trees: str) -> set[str]:
    """The names that match in the sources below `trees`."""
    found: set[str] = set()
    for tree in trees:
        for path in (ROOT / tree).rglob("*"):
            if path.is_file() and path.suffix in {".py", ".sh", ".yml", ".j2", ""} and "__pycache__" not in path.parts:
                found.update(re.findall(pattern, path.read_text(encoding="utf-8", errors="replace")))
    return found


def test_every_entry_that_the_sources_make_is_known() -> None:
    """A new folder of the state or cache directory is listed in `folders`, or a purge would leave it."""
    trees = ("infra", "scripts", "src")
    state = used(r"(?:\bstate|\bstate_dir) / \"([A-Za-z.-]+)", *trees) | used(
        r"\bstate_dir(?: ?\}\}| ~ ')/([a-z.-]+)", "infra"
    )
    cache = used(r"\bcache / f?\"([A-Za-z.-]+)", *trees) | used(r"\bcache_dir(?: ?\}\}| ~ ')/([a-z.-]+)", "infra")
    cache |= used(r"\$\{?cache\}?/([a-z.-]+)", "scripts/lib")
    assert {"secrets", "etcd", "aws"} <= state <= STATE.entries
    assert {"bin", "venvs", "runner"} <= cache <= CACHE.entries
