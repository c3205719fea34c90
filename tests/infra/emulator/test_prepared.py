"""An emulated account is that of what a checkout's stages share, and has what its own clusters name."""

import shutil
import subprocess
import sys
from pathlib import Path

from emulator.process import emulator
from example import ACCOUNT, EXAMPLE, REGION
from settings import ROOT

NUMBER, THERE = "222233334444", "eu-west-1"


def test_clusters_of_other_accounts_are_not_in_it(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "clusters", tmp_path / "clusters")
    for path in tmp_path.glob("clusters/*/cluster.yaml"):
        number = "210987654321" if path.parent.name == "prod" else NUMBER
        path.write_text(path.read_text().replace(ACCOUNT, number).replace(REGION, THERE))

    with emulator(tmp_path / "aws", "--no-api-servers", "--prepared", checkout=tmp_path) as aws:
        assert aws.client("sts").get_caller_identity()["Account"] == NUMBER
        assert aws.variables["AWS_REGION"] == THERE
        assert [one["Name"] for one in aws.client("s3").list_buckets()["Buckets"]] == [f"ml-platform-state-{NUMBER}"]
        assert {one["RoleName"] for one in aws.client("iam").list_roles()["Roles"]} == {
            "ml-platform-deploy-dev",
            "ml-platform-deploy-shared",
            "ml-platform-deploy-staging",
            "platform-engineer",
        }


def test_a_checkout_without_an_account_is_refused_in_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulator", f"--checkout={tmp_path}"]
    path = f"{ROOT}/tests/support:{ROOT}/infra"
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {tmp_path}/clusters: no cluster has provider aws-shared; add one, as clusters/shared is\n",
    )
