"""A stack's state on AWS: found, missing, or out of reach; an emulated one keeps out of the checkout.

(Stacks that are made and worked on by the real engine: tests/scripts/cli/test_aws.py.)
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from moto.server import ThreadedMotoServer

import aws_state
from environment import emulated_stack_file
from example import ACCOUNT, EXAMPLE, REGION, stage
from settings import Paths, SettingsError

DEV = stage("dev")
BUCKET = f"ml-platform-state-{ACCOUNT}"
LOGIN = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": REGION}


@pytest.fixture
def variables() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {**LOGIN, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    server.stop()


@pytest.fixture
def bucket(variables: dict[str, str]) -> Iterator[None]:
    client = aws_state.client("s3", variables)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield
    for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=one["Key"])
    client.delete_bucket(Bucket=BUCKET)


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("name", "there"), [("dev.json", True), ("dev.json.zst", True), ("dev.json.bak", False), ("dev.jsonnet", False)]
)
def test_a_stack_is_there_when_its_state_is(variables: dict[str, str], name: str, there: bool) -> None:
    assert not aws_state.exists(DEV, variables, EXAMPLE)
    client = aws_state.client("s3", variables)
    client.put_object(Bucket=BUCKET, Key=f".pulumi/stacks/ml-platform/{name}", Body=b"{}")
    assert aws_state.exists(DEV, variables, EXAMPLE) is there


def test_an_account_that_was_never_set_up_is_told_apart(variables: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=rf"s3://{BUCKET}: there is no such bucket; it is made once an account"):
        aws_state.exists(DEV, variables, EXAMPLE)


def test_without_credentials_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in LOGIN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=f"there are no AWS credentials here; log in to account {ACCOUNT}"):
        aws_state.exists(DEV, {"AWS_REGION": REGION}, EXAMPLE)


def test_a_network_that_is_away_is_no_missing_stack() -> None:
    with pytest.raises(SettingsError, match=rf"s3://{BUCKET}: cannot be read"):
        aws_state.exists(DEV, {**LOGIN, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, EXAMPLE)


class TestEmulatedSettings:
    """The copy has the checkout's plain settings, encryption of its own, and nobody's secrets."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        settings = {
            "secretsprovider": "awskms:///key",
            "encryptedkey": "precious",
            "config": {"aws:region": "eu-central-1", "ml-platform:forgeToken": {"secure": "AAAB"}},
        }
        (tmp_path / "checkout" / "clusters").mkdir(parents=True)
        (tmp_path / "checkout" / "clusters" / "Pulumi.dev.yaml").write_text(yaml.safe_dump(settings))
        return tmp_path / "checkout"

    def test_it_is_made_and_follows_the_checkout(self, root: Path, tmp_path: Path) -> None:
        paths = Paths(tmp_path / "state", tmp_path / "cache")
        copy = emulated_stack_file("dev", paths)
        aws_state._copy_stack_file("dev", paths, root)
        assert yaml.safe_load(copy.read_text()) == {"config": {"aws:region": "eu-central-1"}}

        copy.write_text(yaml.safe_dump({"encryptionsalt": "ours"}))
        aws_state._copy_stack_file("dev", paths, root)
        assert yaml.safe_load(copy.read_text()) == {
            "config": {"aws:region": "eu-central-1"},
            "encryptionsalt": "ours",
        }
        assert "precious" in (root / "clusters" / "Pulumi.dev.yaml").read_text()

    def test_without_any_there_is_an_empty_one(self, root: Path, tmp_path: Path) -> None:
        paths = Paths(tmp_path / "state", tmp_path / "cache")
        aws_state._copy_stack_file("prod", paths, root)
        assert yaml.safe_load(emulated_stack_file("prod", paths).read_text()) == {}

    def test_a_stack_file_without_its_key_is_refused(self, root: Path) -> None:
        aws_state._require_stack_file("dev", root)
        (root / "clusters" / "Pulumi.dev.yaml").write_text("config: {}\n")
        with pytest.raises(SettingsError, match=r"clusters/Pulumi.dev.yaml: has no secretsprovider"):
            aws_state._require_stack_file("dev", root)
