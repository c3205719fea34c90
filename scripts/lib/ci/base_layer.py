"""Job `nightly`, on main: check DVC's objects in the runner's base layer, and add those that main names.

The environments beside them are checked by `mlplatform.base_layer`, which needs none.
"""

import os
from pathlib import Path

from ci import environment, git, lock, pipeline, remote
from ci.evidence import FOLDER
from ci.failure import run
from ci.store import Store
from ci.tree import CommitTree, Tree
from mlplatform.objects import copied
from mlplatform.objects.verify import Entry, S3Reader


def objects() -> Path:
    """The base layer's folder of DVC objects, of the form of a remote; there may be none."""
    return Path(os.environ.get("CACHE_DIR") or "/cache") / "base" / "dvc"


def entries(tree: Tree, line: pipeline.Pipeline) -> list[Entry]:
    """What a commit names in DVC's remote: the data that `.dvc` files track, and the outputs in the lock."""
    named = lock.tracked_inputs(tree, line) | lock.remote_objects(tree, line)
    return [Entry(path, md5) for path, md5 in named.items()]


def complete(layer: Path, tree: Tree, store: Store, prefix: str) -> None:
    """Remove from the layer what is damaged, and add what the commit names and the store has."""
    for md5 in copied.check(layer):
        print(f"removed object {md5} from the base layer: it is not what its name says")
    found = copied.copy(entries(tree, pipeline.load(tree, FOLDER)), S3Reader(store.client, store.bucket, prefix), layer)
    print(f"the base layer has {found.present + found.new} objects that main names, {found.new} of them new")
    for md5 in found.missing:
        print(f"warning: the object store lacks {md5}, which main names")
    for md5 in found.corrupt:
        print(f"warning: the object store's {md5}, which main names, is damaged; it was not copied")


def main() -> None:
    layer = objects()
    if not os.access(layer.parent, os.W_OK):
        print("this runner has no base layer to write to: nothing to do")
        return
    repository = git.Repository(environment.ROOT)
    commit = repository.commit("HEAD")
    assert commit is not None
    tree = CommitTree(repository, commit)
    bucket, prefix = remote.location(tree, FOLDER)
    complete(layer, tree, Store.connect(bucket), prefix)


if __name__ == "__main__":
    run(main)
