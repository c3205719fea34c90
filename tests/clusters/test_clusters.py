"""The clusters of this repository: valid, apart, and different only where they should be."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws import cidr
from example import EXAMPLE
from settings import ROOT, AwsShared, AwsStage, check_stack_file, cluster_names, load_cluster
from settings.aws import AwsStage as Model

STAGES = ("dev", "staging", "prod")
# Accounts, sizes, zones, protection, NAT, spot and retention; and what no two stages may have in common.
MAY_DIFFER = {
    "name",
    "stages",
    "account",
    "kubernetes.administrators",
    "network.cidr",
    "network.zones",
    "network.nat",
    "network.flowLogDays",
    "kubernetes.logDays",
    "gpu.capacity",
    "gpu.limit",
    "retention.keyDeletionDays",
    "protect",
}


def flat(document: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def stage(name: str) -> AwsStage:
    cluster = load_cluster(name)
    assert isinstance(cluster, AwsStage)
    return cluster


@pytest.mark.parametrize("name", cluster_names())
def test_every_cluster_and_its_stack_file_are_valid(name: str) -> None:
    assert load_cluster(name).name == name
    check_stack_file(name)


def test_there_is_a_cluster_a_stage_and_one_for_what_they_share() -> None:
    assert cluster_names() == ["dev", "local", "prod", "shared", "staging"]
    shared = load_cluster("shared")
    assert isinstance(shared, AwsShared)
    assert shared.stages == list(STAGES)
    assert [stage(name).stages for name in STAGES] == [["dev"], ["staging"], ["prod"]]


def test_stages_differ_only_where_they_should() -> None:
    files = [flat(yaml.safe_load((ROOT / "clusters" / name / "cluster.yaml").read_text())) for name in STAGES]
    different = {
        key for one in files for key in one if any(key not in other or other[key] != one[key] for other in files)
    }
    assert different <= MAY_DIFFER


def test_prod_is_the_one_that_is_guarded() -> None:
    prod = stage("prod")
    assert (prod.protect, prod.network.nat, prod.kubernetes.public_cidrs) == (True, "per-zone", [])
    assert prod.gpu is not None
    assert prod.gpu.capacity == ["on-demand"]
    assert len(prod.network.zones) == 3


def test_the_networks_could_be_connected() -> None:
    ranges = [stage(name).network.cidr for name in STAGES]
    assert not [(one, two) for one in ranges for two in ranges if one < two and cidr.overlaps(one, two)]


@pytest.mark.parametrize("name", STAGES)
def test_the_file_shows_each_key_that_a_message_may_send_one_to_see(name: str) -> None:
    document = yaml.safe_load((ROOT / "clusters" / name / "cluster.yaml").read_text())
    assert set(document) == {field.alias for field in Model.model_fields.values()}


def test_the_check_says_what_is_wrong_in_all_files_at_once(tmp_path: Path) -> None:
    """The checkout's settings and the example's clusters, with three mistakes, one of them seen from three files."""
    for package in ("settings", "aws"):
        shutil.copytree(ROOT / "infra" / package, tmp_path / "infra" / package)
    shutil.copytree(EXAMPLE / "clusters", tmp_path / "clusters")
    for name, old, new in (
        ("shared", "protect: true", "protect: yes please"),
        ("local", "apiPort: 6443", "apiPort: 0"),
    ):
        path = tmp_path / "clusters" / name / "cluster.yaml"
        path.write_text(path.read_text().replace(old, new))
    (tmp_path / "clusters" / "Pulumi.dev.yaml").unlink()

    def check() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "settings"]
        return subprocess.run(command, cwd=tmp_path / "infra", capture_output=True, text=True, env={})

    done = check()
    assert done.returncode == 2
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "clusters/shared/cluster.yaml",
        "clusters/local/cluster.yaml",
    ]
    shutil.copy(EXAMPLE / "clusters" / "shared" / "cluster.yaml", tmp_path / "clusters" / "shared")
    shutil.copy(EXAMPLE / "clusters" / "local" / "cluster.yaml", tmp_path / "clusters" / "local")
    assert check().stderr.startswith("clusters/Pulumi.dev.yaml: is missing;")
    shutil.copy(EXAMPLE / "clusters" / "Pulumi.dev.yaml", tmp_path / "clusters")
    assert (check().returncode, check().stderr) == (0, "")
