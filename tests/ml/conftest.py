"""A model trained once for all tests of this folder, and a real object store."""

from digits import reproducible  # noqa: F401  isort: skip - must come before torch

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest

from digits import dataset, export, params, prepare, train
from digits.prepare import Examples
from runner_harness.process import free_port, running, tool

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "ml"
SECRET = "root-secret-key-0123456789"


@pytest.fixture(scope="session")
def settings() -> params.Params:
    """The parameters that the repository ships."""
    return params.load(PROJECT / "params.yaml")


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw data; not to be changed."""
    out = tmp_path_factory.mktemp("raw") / "digits"
    dataset.write(out)
    return out


@pytest.fixture(scope="session")
def sets(raw: Path, settings: params.Params) -> tuple[Examples, Examples]:
    """Training and validation set."""
    return prepare.split(prepare.read(raw), settings.prepare)


@pytest.fixture(scope="session")
def model_dir(
    sets: tuple[Examples, Examples], settings: params.Params, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A directory with model.safetensors and model.onnx, trained as the repository ships it."""
    network, _ = train.train(*sets, settings.train)
    directory = tmp_path_factory.mktemp("model")
    export.save_weights(network, directory / "model.safetensors")
    export.save_onnx(network, directory / "model.onnx")
    return directory


@dataclass(frozen=True)
class ObjectStore:
    """A running store; `variables` is an environment in which any S3 client uses it."""

    variables: dict[str, str]

    def client(self):  # noqa: ANN201 - boto3 makes its classes when it runs
        return boto3.client(
            "s3",
            endpoint_url=self.variables["AWS_ENDPOINT_URL_S3"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture
def object_store(tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty versitygw with the versioned bucket ml-data."""
    root = tmp_path / "object-store"
    for folder in ("data", "versions"):
        (root / folder).mkdir(parents=True)
    url = f"http://127.0.0.1:{free_port()}"
    command = [tool("versitygw"), f"--port={url.removeprefix('http://')}", "--quiet"]
    command += ["posix", f"--versioning-dir={root / 'versions'}", str(root / "data")]
    login = {"ROOT_ACCESS_KEY_ID": "root", "ROOT_SECRET_ACCESS_KEY": SECRET}

    def ready() -> bool:
        try:
            return httpx.get(url, trust_env=False).status_code > 0
        except httpx.HTTPError:
            return False

    store = ObjectStore(
        {
            **os.environ,
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "root",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "WHEN_REQUIRED",
        }
    )
    with running(command, root / "log", ready, login):
        client = store.client()
        client.create_bucket(Bucket="ml-data")
        client.put_bucket_versioning(Bucket="ml-data", VersioningConfiguration={"Status": "Enabled"})
        yield store
