"""The emulated accounts are those of a checkout's clusters, and each has what its own clusters name."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.process import Emulator, emulator
from example import ACCOUNT, EXAMPLE, REGION
from settings import ROOT

SHARED, PROD, THERE = "222233334444", "210987654321", "eu-west-1"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Another region's, with an account for prod alone."""
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLE / "clusters", root / "clusters")
    for path in root.glob("clusters/*/cluster.yaml"):
        number = PROD if path.parent.name == "prod" else SHARED
        path.write_text(path.read_text().replace(ACCOUNT, number).replace(REGION, THERE))
    with emulator(root / "aws", "--no-api-servers", "--prepared", checkout=root) as found:
        yield found


def test_the_shared_account_keeps_the_state(aws: Emulator) -> None:
    assert aws.variables["AWS_REGION"] == THERE
    assert aws.client("sts").get_caller_identity()["Account"] == SHARED
    assert [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"]] == [f"ml-platform-state-{SHARED}"]
    assert aws.within(PROD).client("s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize(("account", "stacks"), [(SHARED, ["dev", "shared", "staging"]), (PROD, ["prod"])])
def test_each_account_has_the_roles_of_its_clusters(aws: Emulator, account: str, stacks: list[str]) -> None:
    iam = aws.within(account).client("iam")
    roles = {one["RoleName"] for one in iam.list_roles()["Roles"]}
    assert roles == {"platform-engineer", *(f"ml-platform-deploy-{stack}" for stack in stacks)}
    policies = {one["PolicyName"] for one in iam.list_policies(Scope="Local")["Policies"]}
    assert policies == {f"ml-platform-boundary-{stack}" for stack in stacks}


def test_its_network_is_empty(aws: Emulator) -> None:
    assert aws.within(PROD).client("ec2").describe_vpcs()["Vpcs"] == []


def test_a_checkout_without_an_account_is_refused_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", f"--checkout={tmp_path}"]
    path = f"{ROOT}/tests/support:{ROOT}/infra"
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {tmp_path}/clusters: no cluster has provider aws-shared; add one, as clusters/shared is\n",
    )
