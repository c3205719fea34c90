"""The real engine prepares an emulated account, and the state moves into its bucket as the runbook says."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from aws import naming
from control_plane.stack import cache, checkout
from emulator.process import Emulator, emulator
from environment import environment
from example import ACCOUNT, REGION
from plugins import install
from settings import AwsShared, Paths, SettingsError, check_stack_file, load_cluster

pytestmark = pytest.mark.tools

KMS = naming.secrets_provider(ACCOUNT, ACCOUNT, REGION)
PASSPHRASE = {"PULUMI_CONFIG_PASSPHRASE": "until the key is there"}
GOLDEN = Path(__file__).parents[1] / "golden" / "bootstrap.urns"


@dataclass(frozen=True)
class Project:
    """The bootstrap project in a checkout of its own, with the state in one place."""

    root: Path
    aws: Emulator
    variables: dict[str, str]

    def pulumi(self, *arguments: str, check: bool = True, folder: str = "infra/bootstrap") -> str:
        command = ["pulumi", "-C", folder, *arguments, "--non-interactive", "--color=never"]
        done = subprocess.run(command, cwd=self.root, env=self.variables, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def at(self, backend: str, **variables: str) -> "Project":
        kept = {key: value for key, value in self.variables.items() if key not in PASSPHRASE}
        return replace(self, variables={**kept, "PULUMI_BACKEND_URL": backend, **variables})

    @property
    def stack_file(self) -> Path:
        return self.root / "infra" / "bootstrap" / f"Pulumi.{ACCOUNT}.yaml"


@contextmanager
def account(work: Path) -> Iterator[Project]:
    """An account after its first `pulumi up`, with the state in a file and its secrets under a passphrase."""
    root = work / "checkout"
    checkout(root, {})
    with emulator(work / "aws") as aws:
        base = {
            "HOME": str(work),
            "PATH": os.environ["PATH"],
            "ML_PLATFORM_STATE_DIR": str(work / "state"),
            "ML_PLATFORM_CACHE_DIR": str(cache(work / "cache")),
            **aws.variables,
        }
        paths, shared = Paths.from_environment(base), load_cluster("shared", root)
        assert isinstance(shared, AwsShared)
        variables = {**base, **environment(shared, paths, base, root), "PULUMI_STACK": ACCOUNT}
        # Emulated stacks keep their settings elsewhere; this project's are a file that is committed.
        del variables["PULUMI_OPTION_CONFIG_FILE"]
        install.install(paths, variables, print)
        (work / "first").mkdir()
        project = Project(root, aws, variables).at(f"file://{work}/first", **PASSPHRASE)
        project.pulumi("stack", "init", ACCOUNT, "--secrets-provider", "passphrase")
        project.pulumi("up", "--yes", "--skip-preview")
        yield project


@pytest.fixture(scope="module")
def in_a_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with account(tmp_path_factory.mktemp("first")) as project:
        yield project


@pytest.fixture(scope="module")
def in_the_bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Another account, after its state moved."""
    work = tmp_path_factory.mktemp("second")
    with account(work) as first:
        first.pulumi("stack", "export", "--file", str(work / "account.json"))
        # The emulator speaks plain HTTP, which the bucket's policy refuses.
        first.aws.client("s3").delete_bucket_policy(Bucket=naming.state_bucket(ACCOUNT))
        backend = f"s3://{naming.state_bucket(ACCOUNT)}?region={REGION}"
        moving = first.at(backend, **PASSPHRASE)
        moving.pulumi("stack", "init", ACCOUNT, "--secrets-provider", "passphrase")
        moving.pulumi("stack", "import", "--file", str(work / "account.json"))
        moving.pulumi("stack", "change-secrets-provider", KMS)
        yield moving.at(backend)


def test_the_second_update_and_a_refresh_find_nothing_to_do(in_a_file: Project) -> None:
    in_a_file.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    in_a_file.pulumi("refresh", "--yes", "--expect-no-changes")


def test_the_state_has_the_urns_that_were_recorded(in_a_file: Project) -> None:
    known = set(GOLDEN.read_text().splitlines())
    shown = in_a_file.pulumi("stack", "--show-urns")
    assert known
    assert [urn for urn in known if urn not in shown] == []


def test_the_bucket_answers_nobody_without_tls(in_a_file: Project) -> None:
    s3 = in_a_file.aws.client("s3")
    with pytest.raises(ClientError, match=r"Forbidden|AccessDenied"):
        s3.put_object(Bucket=naming.state_bucket(ACCOUNT), Key="a", Body=b"")


def test_the_bucket_and_the_key_are_not_destroyed(in_a_file: Project) -> None:
    shown = in_a_file.pulumi("destroy", "--preview-only", check=False)
    assert re.search(r'StateStore\S+" cannot be deleted\s+because it is protected', shown)


def test_the_state_moves_into_the_bucket(in_the_bucket: Project) -> None:
    in_the_bucket.pulumi("preview", "--expect-no-changes")
    assert in_the_bucket.stack_file.read_text().startswith(f"secretsprovider: {KMS}\nencryptedkey: ")
    key = f".pulumi/stacks/ml-platform-bootstrap/{ACCOUNT}.json.zst"
    state = in_the_bucket.aws.client("s3").get_object(Bucket=naming.state_bucket(ACCOUNT), Key=key)
    assert (state["ServerSideEncryption"], state["BucketKeyEnabled"]) == ("aws:kms", True)


def test_a_stack_file_gets_its_key_beside_what_it_says(in_the_bucket: Project) -> None:
    provider = naming.secrets_provider("staging", ACCOUNT, REGION)
    path = in_the_bucket.root / "clusters" / "Pulumi.staging.yaml"
    before = path.read_text()
    in_the_bucket.pulumi("stack", "init", "staging", "--no-select", "--secrets-provider", provider, folder=".")
    in_the_bucket.pulumi(
        "config", "set", "--secret", "ml-platform:forgeToken", "hunter2", "--stack", "staging", folder="."
    )
    after = path.read_text()
    assert after.startswith(before)
    assert "encryptedkey: " in after
    assert "hunter2" not in after
    check_stack_file("staging", in_the_bucket.root)


def test_a_stack_made_without_its_key_is_noticed(in_the_bucket: Project) -> None:
    """Pulumi's own store then takes a passphrase, whatever the stack file says, and rewrites the file."""
    path = in_the_bucket.root / "clusters" / "Pulumi.prod.yaml"
    before = path.read_text()
    made = in_the_bucket.at(in_the_bucket.variables["PULUMI_BACKEND_URL"], **PASSPHRASE)
    made.pulumi("stack", "init", "prod", "--no-select", folder=".")
    with pytest.raises(SettingsError, match=r"clusters/Pulumi.prod.yaml: encryptionsalt: is a passphrase's"):
        check_stack_file("prod", in_the_bucket.root)
    path.write_text(before)
