"""Put the demo's raw data and its test set into DVC's remotes.

They are made again byte for byte, checked against what git tracks, then uploaded.

Where git tracks other data or none, there is nothing to do: whoever has that data pushes it with DVC. It needs neither
DVC nor torch. Where the remote holds the data already, nothing is regenerated; an object that is missing or damaged is
replaced, which `dvc push` would not do: it takes an object for good when it is there.
"""

import argparse
import configparser
import hashlib
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from digits.errors import UserError, run

PROJECT = Path(__file__).resolve().parents[2]
POINTER = Path("data/digits.dvc")
DEMO = "f5188483250807e76f96259dc77f44e2.dir"
"""What DVC calls the data that `digits.dataset` makes."""
TEST_POINTER = Path("data/test.safetensors.dvc")
TEST_REMOTE = "test"
TEST_DEMO = "95722a838e33877487678a3112615b64"
"""What DVC calls the test set that `digits.test_set` makes of them."""
THREADS = 16


@dataclass(frozen=True)
class Remote:
    """DVC's remote: objects named by their MD5 under a prefix of a bucket."""

    client: Any
    bucket: str
    prefix: str

    def key(self, md5: str) -> str:
        return f"{self.prefix}/files/md5/{md5[:2]}/{md5[2:]}"

    def tags(self) -> dict[str, str]:
        """The entity tag of every object by its key; of a plain upload that is the MD5 of its content."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.prefix}/files/md5/"
        )
        return {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}

    def read(self, md5: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=self.bucket, Key=self.key(md5))["Body"].read()
        return content

    def write(self, md5: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.key(md5), Body=content)

    def damaged(self, md5s: set[str]) -> set[str]:
        """Those of the objects that are missing, or whose content is not what their name says."""
        tags = self.tags()
        odd = {md5 for md5 in md5s if tags.get(self.key(md5)) != md5.removesuffix(".dir")}
        # A store that encrypts has other tags: there, only the content tells.
        present = sorted(md5 for md5 in odd if self.key(md5) in tags)
        with ThreadPoolExecutor(THREADS) as pool:
            sound = {
                md5 for md5, content in zip(present, pool.map(self.read, present), strict=True) if fits(content, md5)
            }
        return odd - sound


def fits(content: bytes, md5: str) -> bool:
    """Whether content is what DVC names `md5`."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir")


def connect(project: Path, name: str = "") -> Remote:
    """A remote of the DVC project, its default one unless named.

    Endpoint, region and credentials come from the environment.

    Raises:
        UserError: the project's configuration names no such S3 remote.
    """
    source = project / ".dvc" / "config"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        # DVC indents its keys, which here would continue the line before.
        parser.read_string("\n".join(line.strip() for line in source.read_text(encoding="utf-8").splitlines()))
        url = urlsplit(parser[f"'remote \"{name or parser['core']['remote']}\"'"]["url"])
    except (OSError, KeyError, configparser.Error) as error:
        what = f"remote {name}" if name else "default remote"
        raise UserError(f"{source}: names no {what} ({error}); restore it from git") from None
    if url.scheme != "s3" or not url.netloc:
        raise UserError(f"{source}: url {url.geturl()!r} is not s3://bucket/prefix; restore it from git")
    settings = Config(max_pool_connections=THREADS, connect_timeout=5, retries={"total_max_attempts": 4})
    return Remote(boto3.Session().client("s3", config=settings), url.netloc, url.path.strip("/"))


def tracked(project: Path, pointer: Path = POINTER) -> str | None:
    """The hash, with `.dir`, that git tracks for the data; `None` where it tracks none under that name."""
    try:
        (entry,) = yaml.safe_load((project / pointer).read_text(encoding="utf-8"))["outs"]
        return str(entry["md5"])
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError):
        return None


def listing(contents: dict[str, bytes]) -> bytes:
    """The object by which DVC names a directory: the MD5 of each of its files, by relative path."""
    entries = [
        {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest(), "relpath": path}
        for path, content in sorted(contents.items())
    ]
    return json.dumps(entries, sort_keys=True).encode()


def missing(remote: Remote, expected: str) -> set[str] | None:
    """What the remote lacks of the data, or `None` where it lacks the listing that would tell."""
    if remote.damaged({expected}):
        return None
    return remote.damaged({entry["md5"] for entry in json.loads(remote.read(expected))})


def upload(remote: Remote, expected: str, contents: dict[str, bytes]) -> int:
    """Upload what the remote lacks of `contents` (by relative path), the listing last; return the number of objects.

    Raises:
        UserError: the contents are not what git tracks.
    """
    index = listing(contents)
    if not fits(index, expected):
        raise UserError(
            f"{POINTER}: names {expected}, which this program did not make again; restore ml/src/digits/dataset.py and "
            "requirements/data.txt from git, or push the data with `dvc push data/digits.dvc` from where it is"
        )
    objects = {hashlib.md5(content, usedforsecurity=False).hexdigest(): content for content in contents.values()}
    lacking = sorted(remote.damaged(set(objects)))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda md5: remote.write(md5, objects[md5]), lacking))
    remote.write(expected, index)
    return len(lacking) + 1


def generate() -> dict[str, bytes]:
    """The raw data, by relative path."""
    from digits import dataset  # noqa: PLC0415 - scikit-learn takes seconds to load, and mostly is not needed

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        dataset.write(out)
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def seed(project: Path) -> str:
    """Make the remote hold the demo's data, if git tracks that; return a line that says what was done.

    Raises:
        UserError: the store cannot be reached or refuses.
    """
    expected = tracked(project)
    if expected != DEMO:
        found = "names other data than the demo's" if expected else "does not name the demo's data"
        return f"{POINTER} {found}: nothing to seed; `dvc push` uploads your own"
    remote = connect(project)
    with explained(remote):
        if missing(remote, expected) == set():
            return f"s3://{remote.bucket}/{remote.prefix} holds the data already"
        count = upload(remote, expected, generate())
    return f"uploaded {count} objects to s3://{remote.bucket}/{remote.prefix}"


def test_set() -> bytes:
    """The file that `digits.test_set` makes of the raw data."""
    from digits import test_set as made  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as scratch:
        raw, out = Path(scratch, "digits"), Path(scratch, "test.safetensors")
        for path, content in generate().items():
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            (raw / path).write_bytes(content)
        made.write(raw, out)
        return out.read_bytes()


def seed_test_set(project: Path) -> str:
    """Make the remote `test` hold the demo's test set, if git tracks that; return a line that says what was done.

    Raises:
        UserError: the store cannot be reached or refuses, or the test set cannot be made again.
    """
    expected = tracked(project, TEST_POINTER)
    if expected != TEST_DEMO:
        return f"{TEST_POINTER} does not name the demo's test set: nothing to seed"
    remote = connect(project, TEST_REMOTE)
    with explained(remote):
        if not remote.damaged({expected}):
            return f"s3://{remote.bucket}/{remote.prefix} holds the test set already"
        content = test_set()
        if not fits(content, expected):
            raise UserError(
                f"{TEST_POINTER}: names {expected}, which this program did not make again; restore ml/src/digits, "
                "src/mlplatform/evaluation and requirements/data.txt from git, or push the test set with "
                "`AWS_PROFILE=test-set dvc push data/test.safetensors` from where it is"
            )
        remote.write(expected, content)
    return f"uploaded the test set to s3://{remote.bucket}/{remote.prefix}"


@contextmanager
def explained(remote: Remote) -> Iterator[None]:
    """Turns the client's errors into one that names place and fix. Raises `UserError`."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(
            f"s3://{remote.bucket}/{remote.prefix}: {error}; check AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, and that the object store is up"
        ) from None


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the raw data, or the test set, into its DVC remote.")
    parser.add_argument("--project", type=Path, default=PROJECT, help="directory with .dvc and data/digits.dvc")
    parser.add_argument("--test-set", action="store_true", help="the test set, into the remote `test`")
    given = parser.parse_args()
    print(seed_test_set(given.project) if given.test_set else seed(given.project))


if __name__ == "__main__":
    run(main)
