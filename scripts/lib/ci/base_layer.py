"""Job `nightly`, on main: check DVC's objects in the runner's base layer, add those that main names, and remove what it
has not named for long.

The environments beside them are checked by `mlplatform.base_layer`, which needs none.
"""

import os
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from ci import environment, git, lock, pipeline, remote
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, run
from ci.store import Store
from ci.tree import CommitTree, Tree
from mlplatform.base_layer.folders import DAY, KEPT_SECONDS
from mlplatform.objects import folder
from mlplatform.objects.verify import Entry, S3Reader


def objects() -> Path:
    """The base layer's folder of DVC objects, of the form of a remote; there may be none."""
    return Path(os.environ.get("CACHE_DIR") or "/cache") / "base" / "dvc"


def entries(tree: Tree, line: pipeline.Pipeline) -> list[Entry]:
    """What a commit names in DVC's remote: the data that `.dvc` files track, and the outputs in the lock."""
    named = lock.tracked_inputs(tree, line) | lock.remote_objects(tree, line)
    return [Entry(path, md5) for path, md5 in named.items()]


def add(layer: Path, tree: Tree) -> set[str]:
    """Add to the layer what a commit names and the store has; returns the MD5s that it names. Raises `Failure`."""
    bucket, prefix = remote.location(tree, FOLDER)
    store = Store.connect(bucket)
    reader = S3Reader(store.client, bucket, prefix)
    try:
        found = folder.copy(entries(tree, pipeline.load(tree, FOLDER)), reader, layer)
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"s3://{bucket}{prefix}: cannot be read: {error}: is the object store up?") from None
    except OSError as error:
        raise Failure(f"{layer}: cannot be written: {error}: scripts/doctor says more of the runner's disk") from None
    print(f"the base layer has {found.present + found.new} objects that {MAIN} names, {found.new} of them new")
    for md5 in found.missing:
        print(f"warning: the object store lacks {md5}, which {MAIN} names")
    for md5 in found.corrupt:
        print(f"warning: the object store's {md5}, which {MAIN} names, is damaged; it was not copied")
    return found.named


def is_writable() -> bool:
    """Whether this job may add to the base layer; there may be none."""
    return os.access(objects().parent, os.W_OK)


def main() -> None:
    if not is_writable():
        print("this runner has no base layer to write to: nothing to do")
        return
    repository = git.Repository(environment.ROOT)
    commit = repository.commit("HEAD")
    assert commit is not None
    layer = objects()
    for md5 in folder.check(layer):
        print(f"removed object {md5} from the base layer: it is not what its name says")
    named = add(layer, CommitTree(repository, commit))
    if removed := folder.forget(layer, named, KEPT_SECONDS):
        print(f"removed {removed} objects from the base layer that {MAIN} has not named for {KEPT_SECONDS // DAY} days")


if __name__ == "__main__":
    run(main)
