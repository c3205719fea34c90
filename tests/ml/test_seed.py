"""The raw data reaches a real object store, whole, once; what is damaged there is refused by DVC and mended by this."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from digits import seed
from digits.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "ml-data"

pytestmark = pytest.mark.tools


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project that knows the data and the remote, without any of the data."""
    folder = tmp_path / "project"
    for name in (".dvc/config", "data/digits.dvc"):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(ROOT / "ml" / name, folder / name)
    subprocess.run(["git", "init", "--quiet", tmp_path / "project"], check=True)
    return folder


@pytest.fixture
def small(project: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with 20 images only, which is quicker and the same to it."""
    contents = {f"images/{number:04d}.png": (raw / f"images/{number:04d}.png").read_bytes() for number in range(20)}
    listing = seed.listing(contents)
    pointer = project / "data" / "digits.dvc"
    size = sum(map(len, contents.values()))
    md5 = hashlib.md5(listing, usedforsecurity=False).hexdigest()
    pointer.write_text(f"outs:\n- {{md5: {md5}.dir, size: {size}, nfiles: 20, hash: md5, path: digits}}\n")
    monkeypatch.setattr(seed, "generate", lambda: contents)
    monkeypatch.setattr(seed, "DEMO", f"{md5}.dir")
    return project


@pytest.fixture
def remote(object_store: Any, project: Path, monkeypatch: pytest.MonkeyPatch) -> seed.Remote:
    """The project's remote in an empty store, which this process uses too."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    return seed.connect(project)


def dvc(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "DVC_SITE_CACHE_DIR": str(project.parent / "site-cache")}
    command = [str(Path(sys.executable).with_name("dvc")), *arguments]
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)


def one_image(remote: seed.Remote) -> str:
    return next(entry["md5"] for entry in json.loads(remote.read(seed.DEMO)) if "0003" in entry["relpath"])


def test_dvc_pulls_what_was_seeded(remote: seed.Remote, project: Path, raw: Path) -> None:
    assert seed.seed(project) == "uploaded 1799 objects to s3://ml-data/dvc"
    done = dvc(project, "pull")
    assert done.returncode == 0, done.stderr
    pulled = project / "data" / "digits"
    assert {path.name: path.read_bytes() for path in pulled.rglob("*.png")} == {
        path.name: path.read_bytes() for path in raw.rglob("*.png")
    }
    status = dvc(project, "status", "--cloud")
    assert "in sync" in status.stdout, status.stdout + status.stderr


def test_a_second_run_uploads_and_regenerates_nothing(
    remote: seed.Remote, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed.seed(small)
    before = remote.client.list_objects_v2(Bucket=BUCKET, MaxKeys=5)["Contents"]
    monkeypatch.setattr(seed, "generate", lambda: pytest.fail("regenerated"))
    time.sleep(1)  # so that a new version would have another time
    assert seed.seed(small) == "s3://ml-data/dvc holds the data already"
    assert remote.client.list_objects_v2(Bucket=BUCKET, MaxKeys=5)["Contents"] == before


def test_dvc_refuses_a_damaged_object_and_seeding_mends_it(remote: seed.Remote, small: Path) -> None:
    seed.seed(small)
    md5 = one_image(remote)
    remote.write(md5, b"not this image")
    refused = dvc(small, "pull")
    assert refused.returncode != 0
    assert not list((small / "data").glob("digits/images/0003.png"))
    assert seed.seed(small) == "uploaded 2 objects to s3://ml-data/dvc"
    assert dvc(small, "pull").returncode == 0
    assert seed.fits((small / "data/digits/images/0003.png").read_bytes(), md5)


@pytest.mark.parametrize("damage", ["missing image", "missing listing", "damaged listing"])
def test_an_interrupted_upload_is_finished(remote: seed.Remote, small: Path, damage: str) -> None:
    seed.seed(small)
    listing = seed.DEMO
    if damage == "missing image":
        remote.client.delete_object(Bucket=BUCKET, Key=remote.key(one_image(remote)))
    elif damage == "missing listing":
        remote.client.delete_object(Bucket=BUCKET, Key=remote.key(listing))
    else:
        remote.write(listing, b"[]")
    assert seed.seed(small).startswith("uploaded ")
    assert dvc(small, "pull").returncode == 0


def test_a_tag_that_is_no_md5_is_settled_by_the_content(remote: seed.Remote, small: Path) -> None:
    seed.seed(small)
    md5 = one_image(remote)
    parts = remote.client.create_multipart_upload(Bucket=BUCKET, Key=remote.key(md5))
    part = {"Bucket": BUCKET, "Key": remote.key(md5), "UploadId": parts["UploadId"]}
    tag = remote.client.upload_part(**part, PartNumber=1, Body=remote.read(md5))["ETag"]
    remote.client.complete_multipart_upload(**part, MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]})
    assert remote.tags()[remote.key(md5)] != md5
    assert seed.seed(small) == "s3://ml-data/dvc holds the data already"


@pytest.mark.parametrize("change", ["gone", "renamed", "other data", "several", "unreadable"])
@pytest.mark.parametrize(
    ("options", "tracked"),
    [((), "data/digits.dvc"), (("--test-set",), "data/test.safetensors.dvc")],
    ids=["data", "test-set"],
)
def test_d8_data_that_is_not_the_demos_is_neither_seeded_nor_refused(
    remote: seed.Remote, project: Path, options: tuple[str, ...], tracked: str, change: str
) -> None:
    """Whether or not the store has it; a store that is away is not even asked."""
    pointer = project / tracked
    shutil.copy(ROOT / "ml" / tracked, pointer)
    match change:
        case "gone":
            pointer.unlink()
        case "renamed":
            pointer.rename(pointer.with_name("churn.dvc"))
        case "other data":
            pointer.write_text(re.sub("md5: [0-9a-f]{8}", "md5: 00000000", pointer.read_text()))
        case "several":
            pointer.write_text(pointer.read_text() + "- {md5: 00000000000000000000000000000000, path: more}\n")
        case "unreadable":
            pointer.write_text("<<<<<<< HEAD\n")
    (project / ".dvc" / "config").unlink()
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "ml" / "src"), "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "digits.seed", f"--project={project}", *options]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)
    assert done.stdout.startswith(tracked)
    assert "nothing to seed" in done.stdout
    assert "Contents" not in remote.client.list_objects_v2(Bucket=BUCKET)
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_what_it_makes_is_what_git_tracks(project: Path, raw: Path) -> None:
    contents = {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    assert seed.tracked(project) == seed.DEMO
    assert seed.fits(seed.listing(contents), seed.DEMO)


def test_data_that_cannot_be_made_again_is_not_uploaded(
    remote: seed.Remote, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed, "generate", lambda: {"images/0000.png": b"another"})
    with pytest.raises(UserError, match=r"did not make again; restore .*, or push the data with `dvc push"):
        seed.seed(small)
    assert remote.tags() == {}


def test_a_store_that_is_down_is_named_with_the_fix(project: Path) -> None:
    variables = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "ml" / "src"),
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "dvc",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    command = [sys.executable, "-m", "digits.seed", f"--project={project}"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert "http://127.0.0.1:9" in done.stderr
    assert "check AWS_ENDPOINT_URL_S3" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_wrong_credentials_are_named_with_the_fix(
    remote: seed.Remote, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(UserError, match=r"s3://ml-data/dvc: .*AWS_SECRET_ACCESS_KEY"):
        seed.seed(small)


def test_a_project_without_a_remote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config: names no default remote .*; restore it from git"):
        seed.connect(tmp_path)
