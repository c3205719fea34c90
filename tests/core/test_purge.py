"""`down --purge` leaves nothing of the platform on the host. It runs last."""

import subprocess
from pathlib import Path

import pytest

from live import Platform
from settings import ROOT, Cluster, Paths


@pytest.fixture(scope="module")
def purged(live: Platform) -> Paths:
    """The host after a purge that kept the caches."""
    live.verb("down", "--purge", "--yes", "--keep-cache")
    return live.paths


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_no_process_of_it_runs(purged: Paths) -> None:
    ours = (str(purged.state), str(purged.bin), str(purged.tools), "/run/ml-platform")
    alive = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(word.startswith(ours) for word in words) or Path(words[0]).name.startswith("containerd"):
                alive.append(" ".join(words))
    assert alive == []


def test_no_data_is_left_and_the_caches_are(purged: Paths) -> None:
    assert not purged.state.exists()
    assert (purged.bin / "kubectl").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/ml-platform.json",
        "/etc/kubernetes",
        "/run/ml-platform",
        "/run/ml-platform-lock/lock.inner",
        "/run/containerd",
        "/var/lib/kubelet",
        "/var/lib/containerd",
        "/var/lib/cni",
    ],
)
def test_no_file_of_it_is_left(purged: Paths, path: str) -> None:
    assert not Path(path).exists()


def test_nothing_of_it_is_mounted(purged: Paths) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    ours = (str(purged.state), "/run/ml-platform", "/run/netns/cni-", "/var/lib/kubelet")
    assert [mount for mount in mounts if mount.startswith(ours)] == []


def test_no_address_device_or_network_namespace_is_left(purged: Paths, cluster: Cluster) -> None:
    assert cluster.kubernetes.node_address not in output("ip", "-brief", "address")
    links = output("ip", "-brief", "link")
    assert not any(line.startswith(("cni", "veth")) for line in links.splitlines())
    assert "cni-" not in output("ip", "netns", "list")


@pytest.mark.parametrize("table", ["raw", "filter", "nat", "mangle", "security"])
def test_no_firewall_rule_is_left(purged: Paths, table: str, cluster: Cluster) -> None:
    rules = output("iptables-save", "-t", table) + output("ip6tables-save", "-t", table)
    for word in ("KUBE-", "CNI-", "ML-PLATFORM", cluster.kubernetes.node_address):
        assert word not in rules


def test_no_set_of_addresses_is_left(purged: Paths) -> None:
    assert "KUBE-" not in output("ipset", "list", "-name")


def test_the_checkout_has_no_link_into_the_state(purged: Paths) -> None:
    assert not (ROOT / "clusters" / "Pulumi.local.yaml").is_symlink()


def test_a_second_purge_finds_nothing_to_do(purged: Paths, live: Platform) -> None:
    live.verb("down", "--purge", "--yes", "--keep-cache")
    assert not purged.state.exists()
