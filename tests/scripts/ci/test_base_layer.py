"""What jobs of main keep for others, and how a job takes it: real DVC, real object store, real environments."""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from ci import base_layer
from ci.failure import Failure
from settings import ROOT

pytestmark = pytest.mark.tools

Project = Any
SMALL = (ROOT / "requirements" / "bootstrap.txt").read_text()
PARAMETERS = """
prepare: {seed: 20, test_fraction: 0.3}
train: {seed: 7, epochs: 4, batch_size: 64, learning_rate: 0.98, channels: 16, dropout: 0.2, shift: 0}
evaluate: {parity_tolerance: 0.0001}
gate: {tolerance: 0.005}
"""
NAMES = ["ci", "dev", "dev", "evaluate", "ml", "ops", "release"]
DATA = (b"zero\n", b"one\n")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def stored(base: Path, content: bytes) -> Path:
    """Where the base layer has an object."""
    return base / "dvc" / "files" / "md5" / md5(content)[:2] / md5(content)[2:]


def store(project: Project) -> Any:
    names = ("aws_access_key_id", "aws_secret_access_key")
    login = {name: project.variables[name.upper()] for name in names}
    region, endpoint = project.variables["AWS_REGION"], project.variables["AWS_ENDPOINT_URL_S3"]
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, **login)


def nightly(project: Project, expected: int = 0) -> str:
    """Start the job as its schedule does, on main as it is."""
    context = {"workflow": "base-layer.yml", "sha": project.git("rev-parse", "origin/main"), "event": {}, "run_id": 1}
    output: str = project.run_again({"id": "nightly", "context": context}, expected)
    return output


@pytest.fixture
def cache(tmp_path: Path, jobs_cache: Path) -> Path:
    """A runner's cache with a base layer of its own, where this test lends environments too."""
    volume = tmp_path / "cache"
    (volume / "base").mkdir(parents=True)
    (volume / "environments").symlink_to(jobs_cache / "environments")
    return volume


@pytest.fixture
def base(cache: Path) -> Iterator[Path]:
    yield cache / "base"
    for path in (cache / "base").rglob("*"):  # so that pytest can remove it
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def test_s3_the_nightly_job_completes_the_base_layer_and_replaces_what_is_not_as_it_was(
    new_project: Callable[[Mapping[str, str]], Project], cache: Path, base: Path
) -> None:
    project = new_project(
        {f"requirements/{group}.txt": SMALL for group in ("dev", "dev-ml", "evaluate", "ml", "release")}
    )
    project.push("main", {"requirements/ops.txt": SMALL})
    project.drop("release.yml push", "nightly.yml push", *["apply.yml push"] * 4)
    (cache / "environments").unlink()
    project.variables["CACHE_DIR"] = str(cache)
    output = nightly(project)
    environments = sorted(path.stem for path in (base / "environments").glob("*.json"))
    assert [name.partition("-")[0] for name in environments] == NAMES
    assert "the base layer has 3 objects that main names, 3 of them new" in output
    assert stored(base, DATA[0]).read_bytes() == DATA[0]

    poison = stored(base, DATA[0])
    poison.chmod(0o644)
    poison.write_bytes(b"eight\n")
    poison.chmod(0o444)
    [packages] = (base / "environments" / environments[0]).glob("lib/python3*/site-packages")
    packages.chmod(0o755)
    (packages / "zz.pth").write_text("import sys; sys.stderr.write('POISON')\n")
    output = nightly(project)
    assert "POISON" not in output
    assert re.search(rf"removed the environment {environments[0]}, .*zz\.pth was added", output)
    assert f"removed object {md5(DATA[0])} from the base layer" in output
    assert "3 objects that main names, 1 of them new" in output
    assert poison.read_bytes() == DATA[0]
    assert not list((base / "environments" / environments[0]).rglob("zz.pth"))

    old = stored(base, b"old\n")
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"old\n")
    os.utime(old, (time.time() - 15 * 86400,) * 2)
    assert "removed 1 objects from the base layer that main has not named for 14 days" in nightly(project)
    assert not old.exists()

    output = nightly(project)
    assert "removed" not in output
    assert "making" not in output
    assert "3 objects that main names, 0 of them new" in output


def test_s3_training_takes_data_from_the_base_layer_by_hash_alone(
    new_project: Callable[[Mapping[str, str]], Project], cache: Path, base: Path
) -> None:
    project = new_project({})
    project.variables["CACHE_DIR"] = str(cache)
    project.propose("first", {"ml/params.yaml": PARAMETERS})
    tasks = project.take("train.yml pull_request", "report.yml pull_request_target")
    project.finish(tasks["report.yml pull_request_target"])
    train = tasks["train.yml pull_request"]

    # The object store has the data, the layer one right object and one that somebody replaced, of DVC's own mode.
    for content, name in ((DATA[0], DATA[0]), (b"poison\n", DATA[1])):
        stored(base, name).parent.mkdir(parents=True, exist_ok=True)
        stored(base, name).write_bytes(content)
        stored(base, name).chmod(0o444)
    client = store(project)
    key = f"{project.name}/dvc/files/md5/{md5(DATA[0])[:2]}/{md5(DATA[0])[2:]}"
    listing = next(
        entry["Key"]
        for entry in client.list_objects_v2(Bucket="ml-data", Prefix=f"{project.name}/dvc/")["Contents"]
        if entry["Key"].endswith(".dir")
    )
    name = listing.rpartition("files/md5/")[2]
    (base / "dvc" / "files" / "md5" / name).parent.mkdir(parents=True, exist_ok=True)
    (base / "dvc" / "files" / "md5" / name).write_bytes(client.get_object(Bucket="ml-data", Key=listing)["Body"].read())
    client.delete_object(Bucket="ml-data", Key=key)

    output = project.run_again(train)
    assert "2 objects of DVC's come from the runner's base layer" in output
    assert f"warning: object {md5(DATA[1])} of the base layer is damaged and not used" in output
    left = client.get_object(Bucket="ml-data", Key=f"runs/{train['context']['run_id']}")["Body"].read()
    assert b"zero\none\n" in left
    assert b"poison" not in left

    # With neither a right object nor one in the store there is no training.
    client.delete_object(
        Bucket="ml-data",
        Key=key.replace(md5(DATA[0])[:2] + "/" + md5(DATA[0])[2:], md5(DATA[1])[:2] + "/" + md5(DATA[1])[2:]),
    )
    output = project.run_again(train, expected=2)
    assert "error: dvc pull failed" in output
    client.close()


class Tree:
    """A commit that tracks one file."""

    def read(self, path: str) -> bytes | None:
        return {
            "ml/.dvc/config": b"[core]\n remote = storage\n['remote \"storage\"']\n url = s3://ml-data/dvc\n",
            "ml/dvc.yaml": b"stages: {train: {cmd: a, deps: [data]}}\n",
            "ml/data.dvc": f"outs:\n- md5: {md5(DATA[0])}\n  path: data\n".encode(),
        }.get(path)

    def files(self, folder: str) -> list[str]:
        return []


def test_an_object_store_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "OBJECT_STORE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(Failure, match=r"s3://ml-data/dvc: cannot be read: .*127\.0\.0\.1:1.*: is the object store up"):
        base_layer.add(tmp_path, Tree())
    assert list(tmp_path.rglob("*")) == []
