"""Job `nightly`, on main: read every object that main names in DVC's remote, and say which are lost or damaged.

A key says nothing of an object's content, so each is read. What models are measured on is read by hash whenever it is
used; no account of these jobs may read it.
"""

from botocore.exceptions import BotoCoreError, ClientError

from ci import base_layer, environment, git, pipeline, remote
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, run
from ci.tree import CommitTree, Tree
from mlplatform.objects.verify import Problem, verify


def problems(tree: Tree) -> list[Problem]:
    """What of a commit's objects is lost or damaged. Raises `Failure` where the store does not answer."""
    try:
        return verify(base_layer.entries(tree, pipeline.load(tree, FOLDER)), remote.reader(tree, FOLDER))
    except (BotoCoreError, ClientError) as error:
        raise Failure(f"the object store cannot be read: {error}: is it up?") from None


def main() -> None:
    repository = git.Repository(environment.ROOT)
    commit = repository.commit("HEAD")
    assert commit is not None
    found = problems(CommitTree(repository, commit))
    for one in found:
        print(one.reason)
    if found:
        raise Failure(f"{len(found)} objects that {MAIN} names are lost or damaged: scripts/repair-data puts them back")
    print(f"every object that {MAIN} names is whole")


if __name__ == "__main__":
    run(main)
