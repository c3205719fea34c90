"""A stack is made ready however it was left. (Locks and killed runs: test_local.py, by the real engine.)"""

import json
import os
import socket
from pathlib import Path

import pytest

import host_state
import stack
from settings import Paths, SettingsError, load_local

CLUSTER = load_local("local")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    host_state.write(tmp_path / "state")
    return Paths(tmp_path / "state", tmp_path / "cache")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "checkout" / "clusters").mkdir(parents=True)
    return tmp_path / "checkout"


def test_the_stack_file_is_a_link_into_the_state(paths: Paths, root: Path) -> None:
    link = root / "clusters" / "Pulumi.local.yaml"
    for _ in range(2):
        stack._link_stack_file(CLUSTER, paths, root)
        assert link.readlink() == paths.pulumi / "Pulumi.local.yaml"
    link.unlink()
    link.symlink_to("/another/state")
    stack._link_stack_file(CLUSTER, paths, root)
    assert link.readlink() == paths.pulumi / "Pulumi.local.yaml"
    assert [path.name for path in link.parent.iterdir()] == ["Pulumi.local.yaml"]


def test_a_stack_file_that_somebody_wrote_is_not_overwritten(paths: Paths, root: Path) -> None:
    link = root / "clusters" / "Pulumi.local.yaml"
    link.write_text("encryptionsalt: precious\n")
    with pytest.raises(SettingsError, match=r"clusters/Pulumi.local.yaml: must be a link to .*; move the file there"):
        stack._link_stack_file(CLUSTER, paths, root)
    assert link.read_text() == "encryptionsalt: precious\n"


def test_s3_tools_find_the_store_and_only_this_user_the_key(paths: Paths) -> None:
    stack._write_aws_files(CLUSTER, paths)
    assert "endpoint_url = http://10.254.254.1:7070" in paths.aws_config.read_text()
    assert host_state.secret("s3-data-secret-key") in paths.aws_credentials.read_text()
    assert paths.aws_credentials.stat().st_mode & 0o077 == 0


def test_argocd_has_a_context_once_there_is_a_cluster(paths: Paths) -> None:
    stack._write_argocd_context(CLUSTER, paths)
    assert not paths.argocd_context.exists()
    paths.kubeconfig.write_text("clusters: [{name: c}]\nusers: [{name: u}]\n")
    stack._write_argocd_context(CLUSTER, paths)
    written = json.loads(paths.argocd_context.read_text())
    (context,) = written["contexts"]
    assert context == {"name": "local", "context": {"cluster": "c", "user": "u", "namespace": "argocd"}}
    assert written["current-context"] == "local"


class TestAPowerCut:
    """Half a checkpoint is never a reason to lose the whole one."""

    @pytest.fixture
    def checkpoint(self, tmp_path: Path) -> Path:
        path = tmp_path / "local.json"
        path.write_text('{"version": 3, "depl')
        return path

    def test_the_backup_is_restored(self, checkpoint: Path) -> None:
        backup = checkpoint.with_name("local.json.bak")
        backup.write_text('{"version": 3}')
        lines: list[str] = []
        stack._restore(checkpoint, lines.append)
        assert checkpoint.read_text() == '{"version": 3}'
        assert lines == ["Restoring local.json from its backup: a power cut or a full disk left half of it"]
        stack._restore(checkpoint, lines.append)
        assert len(lines) == 1

    def test_without_a_whole_backup_nothing_is_touched(self, checkpoint: Path) -> None:
        with pytest.raises(SettingsError, match=r"local.json: is damaged and has no whole backup"):
            stack._restore(checkpoint, print)
        assert checkpoint.read_text() == '{"version": 3, "depl'

    def test_no_checkpoint_is_a_new_stack(self, tmp_path: Path) -> None:
        stack._restore(tmp_path / "none.json", print)


@pytest.mark.parametrize(
    ("holders", "abandoned"),
    [
        ([], False),
        ([{"pid": 2**22 + 1, "hostname": socket.gethostname()}], True),
        ([{"pid": os.getpid(), "hostname": socket.gethostname()}], True),
    ],
)
def test_a_lock_whose_holder_is_gone_is_released(
    tmp_path: Path, holders: list[dict[str, object]], abandoned: bool
) -> None:
    for number, holder in enumerate(holders):
        (tmp_path / f"{number}.json").write_text(json.dumps(holder))
    assert stack._abandoned(tmp_path) is abandoned


def test_a_missing_passphrase_is_told_before_anything_is_made(paths: Paths, root: Path) -> None:
    (paths.secrets / "pulumi-passphrase").unlink()
    with pytest.raises(SettingsError, match=r"pulumi-passphrase: cannot be read .*; scripts/up generates it"):
        stack.prepare(CLUSTER, paths, print, root)
    assert not paths.pulumi.exists()
    assert not (root / "clusters" / "Pulumi.local.yaml").is_symlink()
