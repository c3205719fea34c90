"""Whether DVC's remote holds what a lock names."""

import configparser
from urllib.parse import urlsplit

from ci import lock
from ci.document import DocumentError
from ci.pipeline import Pipeline
from ci.store import Store, dvc_object
from ci.tree import Tree


def location(tree: Tree, folder: str) -> tuple[str, str]:
    """Bucket and prefix of the default remote of the DVC project in `folder`. Raises `DocumentError`."""
    source = f"{folder}/.dvc/config"
    text = tree.read(source)
    if text is None:
        raise DocumentError(f"{source} is missing: restore it")
    # DVC indents its keys, which here would continue the line before.
    lines = "\n".join(line.strip() for line in text.decode("utf-8", errors="replace").splitlines())
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(lines, source)
        name = parser.get("core", "remote")
        url = urlsplit(parser.get(f"'remote \"{name}\"'", "url"))
    except configparser.Error as error:
        raise DocumentError(f"{source}: names no default remote: {' '.join(str(error).split())}") from None
    if url.scheme != "s3" or not url.netloc:
        raise DocumentError(f"{source}: the default remote is not s3://bucket/prefix")
    return url.netloc, url.path


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
        if not store.has(dvc_object(prefix, md5))
    ]
