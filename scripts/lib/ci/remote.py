"""Whether DVC's remotes hold what a commit names."""

import configparser
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from ci import lock
from ci.document import DocumentError
from ci.pipeline import Pipeline
from ci.store import Store
from ci.tree import Tree
from mlplatform.objects import verify
from mlplatform.objects.bundle import Bundle
from mlplatform.objects.repair import Copies, Repair
from mlplatform.objects.verify import Either, Entry, Reader, S3Reader

# DVC takes an object for good when it is there.
REPAIR = "scripts/repair-data puts it back where its content still is, else whoever has the file runs `dvc push` in ml/"
_REMOTE = re.compile(r"'remote \"(.+)\"'")


def location(tree: Tree, folder: str, name: str = "") -> tuple[str, str]:
    """Bucket and prefix of a remote of the DVC project in `folder`, its default one unless named.

    Raises `DocumentError`.
    """
    source, parser = _configuration(tree, folder)
    try:
        name = name or parser.get("core", "remote")
        url = urlsplit(parser.get(f"'remote \"{name}\"'", "url"))
    except configparser.Error as error:
        what = f"remote {name}" if name else "default remote"
        raise DocumentError(f"{source}: names no {what}: {' '.join(str(error).split())}") from None
    if url.scheme != "s3" or not url.netloc:
        raise DocumentError(f"{source}: the remote {name} is not s3://bucket/prefix")
    return url.netloc, url.path


def locations(tree: Tree, folder: str) -> dict[str, tuple[str, str]]:
    """Bucket and prefix by name of every remote on S3 of the DVC project in `folder`. Raises `DocumentError`."""
    _, parser = _configuration(tree, folder)
    found = {name[1]: section for section in parser.sections() if (name := _REMOTE.fullmatch(section))}
    on_s3 = [name for name, section in found.items() if parser.get(section, "url", fallback="").startswith("s3://")]
    return {name: location(tree, folder, name) for name in on_s3}


def _configuration(tree: Tree, folder: str) -> tuple[str, configparser.ConfigParser]:
    """The path of DVC's configuration and its content. Raises `DocumentError`."""
    source = f"{folder}/.dvc/config"
    text = tree.read(source)
    if text is None:
        raise DocumentError(f"{source} is missing: restore it")
    # DVC indents its keys, which here would continue the line before.
    lines = "\n".join(line.strip() for line in text.decode("utf-8", errors="replace").splitlines())
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(lines, source)
    except configparser.Error as error:
        raise DocumentError(f"{source}: cannot be read: {' '.join(str(error).split())}") from None
    return source, parser


def reader(tree: Tree, folder: str, name: str = "") -> S3Reader:
    """Reads the objects of a remote, as `location` finds it. Raises `DocumentError`."""
    bucket, prefix = location(tree, folder, name)
    return S3Reader(Store.connect(bucket).client, bucket, prefix)


def either(left: Bundle | None, tree: Tree, folder: str) -> Reader:
    """Reads what a run left, and from the default remote what that has not. Raises `DocumentError`."""
    return reader(tree, folder) if left is None else Either(left, reader(tree, folder))


def reasons_to_train(tree: Tree, main: Tree, line: Pipeline) -> list[str]:
    """Why the pipeline must run on a commit: its lock is not fresh, or main's remote lacks what the lock names.

    Raises:
        DocumentError: a file of DVC's is not understood.
    """
    return lock.problems(tree, line) or missing(main, line.folder, lock.remote_objects(tree, line))


def missing(main: Tree, folder: str, objects: dict[str, str]) -> list[str]:
    """A sentence for each output (MD5 by path) that main's remote lacks."""
    bucket, prefix = location(main, folder)
    store = Store.connect(bucket)
    return [
        f"{path} is not in the object store"
        for path, md5 in sorted(objects.items())
        if not store.has(verify.key(prefix, md5))
    ]


def take(main: Tree, folder: str, objects: Mapping[str, str], left: Reader, scratch: Path) -> list[str]:
    """Put what main's remote lacks of outputs (MD5 by path) into it from what a run left; each is hashed before.

    Returns a sentence for each that then still is not there.
    """
    bucket, prefix = location(main, folder)
    store = Store.connect(bucket)
    place = S3Reader(store.client, store.bucket, prefix)

    def put(md5: str, file: Path) -> None:
        store.put_file(verify.key(prefix, md5), file)

    entries = [Entry(path, md5) for path, md5 in sorted(objects.items())]
    outcome = Repair(place, put, [Copies("the run", left)], scratch).run(entries)
    for problem, _ in outcome.repaired:
        print(f"taken from the run into DVC's remote: {problem.path} ({problem.md5})")
    return [one.reason for one in outcome.left]


def faults(main: Tree, folder: str, objects: Mapping[str, str]) -> list[str]:
    """A sentence for each output (MD5 by path) that main's remote lacks or holds with other content; each is read."""
    entries = [Entry(path, md5) for path, md5 in sorted(objects.items())]
    found = verify.verify(entries, reader(main, folder))
    return [f"{one.reason}: {REPAIR}" for one in found]
