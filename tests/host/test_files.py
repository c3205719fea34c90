"""Files: what is secret can be read by root only, and nothing of the platform lies where a package's files lie."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from settings import Cluster, Paths

pytestmark = pytest.mark.host

SECRETS = {
    "argocd-admin-password",
    "argocd-other-webhooks-secret",
    "forge-admin-password",
    "forge-argocd-token",
    "forge-bot-token",
    "forge-bot-webhook-secret",
    "forge-member-password",
    "forge-merge-token",
    "forge-owner-password",
    "forge-proposer-token",
    "forge-runner-registration-token",
    "forge-webhook-secret",
    "object-store-root-secret-key",
    "pulumi-passphrase",
    "registry-password",
    "s3-data-secret-key",
    "s3-dvc-secret-key",
    "s3-evaluate-secret-key",
    "s3-janitor-secret-key",
    "s3-judge-secret-key",
    "s3-pulumi-secret-key",
    "s3-release-secret-key",
    "s3-runs-secret-key",
    "s3-test-set-secret-key",
}


def test_every_secret_is_there_and_roots_own(host: Host, platform: Paths) -> None:
    assert host.file(str(platform.secrets)).mode == 0o700
    names = {path.name for path in platform.secrets.iterdir()}
    assert names >= SECRETS
    for path in platform.secrets.iterdir():
        file = host.file(str(path))
        assert (file.user, file.mode) == ("root", 0o600), path
        assert file.size >= 20, f"{path} is too short to be a secret"


@pytest.mark.parametrize(
    ("name", "user", "mode"),
    [
        (".", "root", 0o711),
        ("kubernetes/admin.conf", "root", 0o600),
        ("kubernetes/kube-router.conf", "root", 0o600),
        ("kubernetes/pki/ca.key", "root", 0o600),
        ("containerd/registries/_default/hosts.toml", "root", 0o600),
        ("etcd", "root", 0o700),
        ("gitea", "ml-platform-forge", 0o700),
        ("gitea/app.ini", "root", 0o640),
        ("host/environment", "root", 0o600),
        ("object-store", "ml-platform-object-store", 0o700),
        ("object-store/accounts/users.json", "ml-platform-object-store", 0o600),
        ("registry", "ml-platform-registry", 0o700),
        ("registry/htpasswd", "ml-platform-registry", 0o600),
    ],
)
def test_owner_and_mode(host: Host, platform: Paths, name: str, user: str, mode: int) -> None:
    file = host.file(str(platform.state / name))
    assert (file.user, file.mode) == (user, mode)


def readable_by_others(folder: Path) -> Iterator[Path]:
    """Every file below `folder` that another user of the host can read."""
    for entry in folder.iterdir():
        mode = entry.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IXOTH:
            yield from readable_by_others(entry)
        elif stat.S_ISREG(mode) and mode & stat.S_IROTH:
            yield entry


def test_no_secret_stands_in_a_file_that_others_can_read(platform: Paths, secrets: dict[str, str]) -> None:
    # Layers of images are many and are not ours to judge here.
    images = platform.state / "containerd" / "root"
    files = [path for path in readable_by_others(platform.state) if images not in path.parents]
    assert files, "not even containerd's settings can be read, so this test looks in the wrong place"
    for path in files:
        if path.stat().st_size < 5_000_000:
            text = path.read_text(errors="replace")
            assert not [name for name, secret in secrets.items() if secret in text], path


def test_no_secret_stands_on_a_command_line(secrets: dict[str, str]) -> None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text(errors="replace")
        except OSError:
            continue
        leaked = [name for name, secret in secrets.items() if secret in line]
        assert not leaked, f"{path} shows {leaked}"


def test_kubernetes_lies_in_the_state_directory(host: Host, platform: Paths) -> None:
    link = host.file("/etc/kubernetes")
    assert link.is_symlink
    assert link.linked_to == str(platform.state / "kubernetes")


def test_the_record_says_whose_host_this_is_and_what_it_was(host: Host, platform: Paths, cluster: Cluster) -> None:
    record = json.loads(host.file("/etc/ml-platform.json").content_string)
    assert (record["state_dir"], record["cluster"]) == (str(platform.state), cluster.name)
    assert record["kernel_parameters"].keys() >= {"net.ipv4.ip_forward", "vm.overcommit_memory"}


def test_pods_get_the_hosts_certificates(host: Host, platform: Paths) -> None:
    bundle = host.file(str(platform.state / "host" / "ca-certificates.crt")).content_string
    assert bundle.count("BEGIN CERTIFICATE") == bundle.count("END CERTIFICATE") > 10
    environment = host.file(str(platform.state / "host" / "environment")).content_string
    settings = dict(line.split("=", 1) for line in environment.splitlines() if line and not line.startswith("#"))
    assert settings["SSL_CERT_FILE"] == settings["PIP_CERT"] == "/etc/ssl/certs/ca-certificates.crt"
