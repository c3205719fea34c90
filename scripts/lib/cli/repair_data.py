"""Look at every object that the forge's main names in DVC's remotes, and put back what is lost or damaged."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ci import base_layer, document, lock, pipeline, remote
from ci import git as job_git
from ci.evidence import FOLDER
from ci.tree import CommitTree, Tree
from cli import app, console, git, people
from cli.failure import Failure
from mlplatform.evaluation import declaration
from mlplatform.objects.repair import Copies, EarlierVersions, Outcome, Repair, Source
from mlplatform.objects.verify import Entry, FolderReader, S3Reader, key, verify
from settings import ROOT, Cluster, Paths

# DVC's own cache, where `dvc add` and `dvc repro` leave what they make.
CACHES = (f"{FOLDER}/.dvc/cache",)


@dataclass(frozen=True)
class Remote:
    """A remote and what main names in it."""

    bucket: str
    prefix: str
    entries: list[Entry]

    @property
    def name(self) -> str:
        return f"s3://{self.bucket}/{self.prefix.strip('/')}"


def remotes(tree: Tree) -> list[Remote]:
    """The remotes that main uses: of data and results, and of what models are measured on. Raises DocumentError."""
    found = [Remote(*remote.location(tree, FOLDER), base_layer.entries(tree, pipeline.load(tree, FOLDER)))]
    text = tree.read(f"{FOLDER}/{declaration.FILE}")
    if text is None:
        return found
    declared = declaration.parse(document.parse_yaml(text, declaration.FILE), declaration.FILE)
    path = declared.test_set.path
    if (pointer := tree.read(f"{path}.dvc")) is not None:
        named = lock.pointer(pointer, path)
        found.append(Remote(*remote.location(tree, FOLDER, named.remote), [Entry(path, named.md5, named.size)]))
    return found


def sources(place: Remote, client: Any, root: Path, layer: Path) -> list[Source]:
    """Where an object's content may still be, the nearest first."""
    caches: list[Source] = [Copies(f"the cache {name}", FolderReader(root / name)) for name in CACHES]
    return [
        *caches,
        Copies("the runners' base layer", FolderReader(layer)),
        EarlierVersions(client, place.bucket, place.prefix),
    ]


def mend(place: Remote, client: Any, root: Path, layer: Path, *, look_only: bool) -> Outcome:
    """Make a remote whole, or with `look_only` say what is wrong with it. Raises Failure."""
    reader = S3Reader(client, place.bucket, place.prefix)

    def put(md5: str, file: Path) -> None:
        client.upload_file(str(file), place.bucket, key(place.prefix, md5))

    try:
        if look_only:
            return Outcome([], verify(place.entries, reader))
        with tempfile.TemporaryDirectory(prefix="ml-platform-repair-") as folder:
            where = sources(place, client, root, layer)
            return Repair(reader, put, where, Path(folder) / "object").run(place.entries)
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"{place.name}: {error}", "scripts/status tells whether the object store is up") from None


def store(cluster: Cluster, paths: Paths) -> Any:
    """boto3's client of the platform's object store, as what administers its buckets. Raises SettingsError."""
    return boto3.Session().client(
        "s3",
        endpoint_url=cluster.object_store.endpoint,
        region_name=cluster.object_store.region,
        aws_access_key_id="pulumi",
        aws_secret_access_key=paths.secret("s3-pulumi-secret-key"),
        config=Config(
            # The store is an address of the platform, never behind the host's proxy.
            proxies={},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def with_objects_of(scratch: git.Repository) -> job_git.Repository:
    """The same repository for code that has no variables of its own: where it borrows objects stands in a file."""
    borrowed = scratch.variables["GIT_ALTERNATE_OBJECT_DIRECTORIES"]
    (scratch.folder / "objects" / "info" / "alternates").write_text(f"{borrowed}\n", encoding="utf-8")
    return job_git.Repository(scratch.folder)


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    shown = console.out()
    with people.main_of_forge(cluster, paths) as main:
        commit = main.git("rev-parse", "main")
        tree = CommitTree(with_objects_of(main), commit)
        try:
            places = remotes(tree)
        except (document.DocumentError, declaration.DeclarationError) as error:
            raise Failure(f"main at {commit[:10]}: {error}", "repair that file by a pull request") from None
    client, left = store(cluster, paths), 0
    for place in places:
        shown.print(f"{place.name}: reading {len(place.entries)} entries", markup=False)
        found = mend(place, client, ROOT, paths.cache / "runner" / "base" / "dvc", look_only=arguments.check)
        for problem, source in found.repaired:
            shown.print(f"  put back from {source}: {problem.path} ({problem.md5})", markup=False)
        for problem in found.left:
            shown.print(f"  {problem.reason}", markup=False)
        left += len(found.left)
    if left and arguments.check:
        raise Failure(f"{left} objects are lost or damaged", "run it without --check: it puts back what it finds")
    if left:
        raise Failure(
            f"{left} objects are lost or damaged, and their content is nowhere here",
            "whoever has the files runs `dvc push` in ml/; a lost result is made anew by a training pull request",
        )
    shown.print("every object that main names is whole")
    return 0


def main() -> int:
    """The verb."""
    parser = app.parser(
        "repair-data",
        "Verify every DVC object that the forge's main refers to, and restore what is lost or damaged: from DVC's\n"
        "cache in this checkout, from the runners' base layer, or from an earlier version in the bucket.\n"
        "Exits with 0 if all are intact at the end, else with 1 after listing the rest.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing, only report what is wrong")
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
