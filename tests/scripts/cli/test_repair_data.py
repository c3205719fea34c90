"""Lost and damaged objects of a real object store are put back from whatever still has them, and the rest is named."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ci.git import Repository
from ci.tree import CommitTree
from cli import repair_data
from cli.failure import Failure
from cli.repair_data import Remote
from mlplatform.objects.verify import Entry, key
from settings import ROOT

pytestmark = pytest.mark.tools

MODEL = b"the reviewed model"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


BUCKET, PREFIX = "ml-data", "repair"
KEY = key(PREFIX, md5(MODEL))
PLACE = Remote(BUCKET, PREFIX, [Entry("ml/model/model.onnx", md5(MODEL))])


@pytest.fixture
def client(object_store: Any) -> Iterator[Any]:
    """Of a versioned bucket, emptied afterwards."""
    variables = object_store.variables
    made = boto3.client(
        "s3",
        endpoint_url=object_store.url,
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            proxies={},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    made.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield made
    for version in made.list_object_versions(Bucket=BUCKET, Prefix=PREFIX).get("Versions", []):
        made.delete_object(Bucket=BUCKET, Key=version["Key"], VersionId=version["VersionId"])
    made.close()


def write(client: Any, content: bytes) -> None:
    client.put_object(Bucket=BUCKET, Key=KEY, Body=content)


def read(client: Any) -> bytes:
    return bytes(client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())


def cached(folder: Path) -> None:
    path = folder / key("", md5(MODEL))
    path.parent.mkdir(parents=True)
    path.write_bytes(MODEL)


@pytest.mark.parametrize("loss", ["overwritten", "deleted"])
def test_s16_an_earlier_version_is_put_back(client: Any, tmp_path: Path, loss: str) -> None:
    """What a job with the data credential can do to an object: it reads no versions, and removes none."""
    write(client, MODEL)
    if loss == "overwritten":
        write(client, b"7 bytes")
    else:
        client.delete_object(Bucket=BUCKET, Key=KEY)
    looked = repair_data.mend(PLACE, client, tmp_path, tmp_path / "base", look_only=True)
    assert [one.kind for one in looked.left] == ["corrupt" if loss == "overwritten" else "missing"]
    assert looked.repaired == []

    found = repair_data.mend(PLACE, client, tmp_path, tmp_path / "base", look_only=False)

    assert [source for _, source in found.repaired] == ["an earlier version in the bucket"]
    assert found.left == []
    assert read(client) == MODEL


@pytest.mark.parametrize(
    ("folder", "source"), [("ml/.dvc/cache", "the cache ml/.dvc/cache"), ("base", "the runners' base layer")]
)
def test_s16_a_copy_on_this_machine_is_put_back(client: Any, tmp_path: Path, folder: str, source: str) -> None:
    write(client, b"7 bytes")
    cached(tmp_path / folder)
    found = repair_data.mend(PLACE, client, tmp_path, tmp_path / "base", look_only=False)
    assert [name for _, name in found.repaired] == [source]
    assert read(client) == MODEL


def test_s16_what_is_nowhere_is_left_and_named(client: Any, tmp_path: Path) -> None:
    write(client, b"7 bytes")
    found = repair_data.mend(PLACE, client, tmp_path, tmp_path / "base", look_only=False)
    assert found.repaired == []
    assert [one.path for one in found.left] == ["ml/model/model.onnx"]
    assert read(client) == b"7 bytes"


def test_a_store_that_is_away_is_a_clear_failure(tmp_path: Path) -> None:
    names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
    config = Config(proxies={}, retries={"max_attempts": 0}, connect_timeout=1)
    away = boto3.client("s3", endpoint_url="http://127.0.0.1:1", config=config, **dict.fromkeys(names, "x"))
    with pytest.raises(Failure, match=r"s3://ml-data/repair: .*127\.0\.0\.1:1"):
        repair_data.mend(PLACE, away, tmp_path, tmp_path, look_only=True)
    away.close()


def test_the_project_here_names_data_results_and_a_test_set() -> None:
    tree = CommitTree(Repository(ROOT), "HEAD")
    data, tests = repair_data.remotes(tree)
    assert (data.name, tests.name) == ("s3://ml-data/dvc", "s3://ml-data/test")
    assert {"ml/data/digits", "ml/model/model.onnx"} <= {entry.path for entry in data.entries}
    assert [entry.path for entry in tests.entries] == ["ml/data/test.safetensors"]
