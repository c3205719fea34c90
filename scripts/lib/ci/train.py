"""Job `train`: run the pipeline on a pull request's commit unless its lock is fresh, and leave what it wrote.

This runs code of the pull request, so its credential reads data and writes nothing: what the run makes goes into one
object of its own, by an address that the runner signed. `ci.report`, from main, judges that and takes from it what
DVC's remote lacks.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ci import base_layer, candidate, environment, git, handover, lock, pipeline, remote
from ci.evidence import FOLDER
from ci.failure import Failure, run
from ci.store import Store
from ci.tree import CommitTree, Tree
from mlplatform.objects import folder, verify
from mlplatform.objects.bundle import BundleError
from mlplatform.objects.verify import FolderReader


def reasons(repository: git.Repository, tree: Tree, base: str, head: str) -> list[str]:
    """Why the pipeline must run; empty where the pull request does not touch it or its lock is fresh."""
    if not pipeline.affected(repository.changed(base, head), tree, FOLDER):
        print(f"nothing under {FOLDER}/ changed: nothing to train")
        return []
    found = remote.reasons_to_train(tree, tree, pipeline.load(tree, FOLDER))
    if not found:
        print("the lock is fresh: nothing to train")
    return found


def commits(repository: git.Repository, payload: dict[str, Any]) -> tuple[str, str]:
    """Where the pull request left main, and its head. Raises `Failure` where the checkout lacks them."""
    pull = payload.get("pull_request")
    if not isinstance(pull, dict):
        raise Failure("the event is not about a pull request: start this job by pull_request")
    head = repository.commit(pull["head"]["sha"])
    # Gitea says where the branch left main; GitHub's checkout has all branches, so that git can tell.
    base = repository.commit(pull.get("merge_base") or "")
    main = repository.commit(pull["base"]["sha"])
    if base is None and head and main:
        base = repository.merge_base(main, head)
    if head is None or base is None:
        raise Failure("the checkout lacks the pull request's history: check out with fetch-depth: 0")
    return base, head


def results(root: Path, tree: Tree, line: pipeline.Pipeline) -> candidate.Candidate:
    """What the run wrote for git: lock, metrics and plots. Raises `Failure` unless they make the lock fresh."""
    replaced = line.in_git() | {line.lock_path}
    files = {}
    for top in sorted(replaced):
        paths = [root / top] if (root / top).is_file() else sorted(p for p in (root / top).rglob("*") if p.is_file())
        files.update({path.relative_to(root).as_posix(): path.read_bytes() for path in paths})
    found = candidate.Candidate(files, replaced)
    if left := lock.problems(found.over(tree), line):
        raise Failure(f"dvc repro ended, yet {FOLDER}/dvc.lock is not fresh: {'; '.join(left[:5])}")
    return found


def leave(root: Path, tree: Tree, line: pipeline.Pipeline, run: str) -> None:
    """Leave what the run wrote, for the report. Raises `Failure`."""
    found = results(root, tree, line)
    named = lock.remote_objects(found.over(tree), line).values()
    bucket, prefix = remote.location(tree, FOLDER)
    data = Store.connect(bucket)

    def has(md5: str) -> bool:
        return data.has(verify.key(prefix, md5))

    # Beside the checkout there is room for what a run makes.
    with tempfile.NamedTemporaryFile(prefix="run-", dir=os.environ.get("RUNNER_WORK")) as stream:
        try:
            candidate.write(stream, found.files, named, root / FOLDER / ".dvc" / "cache", has)
        except BundleError as error:
            raise Failure(str(error)) from None
        stream.flush()
        handover.leave(Store.connect(environment.require("DATA_BUCKET")), run, Path(stream.name))


def dvc(root: Path, *arguments: str) -> None:
    """Run DVC in the pipeline's own environment, its output in the job's log. Raises `Failure`."""
    print(f"+ dvc {' '.join(arguments)}")
    command = [str(root / "scripts/ci/environment"), "ml", "dvc", *arguments]
    done = subprocess.run(command, cwd=root / FOLDER, check=False)
    if done.returncode != 0:
        raise Failure(f"dvc {arguments[0]} failed with status {done.returncode}: the lines above say why")


def take_from_base(root: Path, tree: Tree, line: pipeline.Pipeline) -> None:
    """Fill DVC's cache, which lies beside the checkout, with what the runner's base layer has, so that data is not
    downloaded for each job. What is not what its name says is left there."""
    layer = base_layer.objects()
    if not layer.is_dir():
        return
    copied = folder.copy(base_layer.entries(tree, line), FolderReader(layer), root / FOLDER / ".dvc" / "cache")
    print(f"{copied.new} objects of DVC's come from the runner's base layer")
    for md5 in copied.corrupt:
        print(f"warning: object {md5} of the base layer is damaged and not used; the nightly job removes it")


def require_data(root: Path, tree: Tree, line: pipeline.Pipeline) -> None:
    """Refuse to go on without the data that the commit's `.dvc` files name. Raises `Failure`."""
    for path in sorted(line.inputs()):
        if tree.read(f"{path}.dvc") is not None and not (root / path).exists():
            raise Failure(
                f"{path}: the object store lacks it, or holds a corrupted copy: whoever has the data runs "
                f"`dvc push --remote storage` in {FOLDER}/"
            )


def main() -> None:
    root = environment.ROOT
    repository = git.Repository(root)
    base, head = commits(repository, environment.event())
    # GitHub checks out the merge with main; what is trained and committed is the head itself.
    repository.git("checkout", "--quiet", "--detach", head)
    tree = CommitTree(repository, head)
    why = reasons(repository, tree, base, head)
    if not why:
        return
    print("training, because", *why, sep="\n  ")
    line = pipeline.load(tree, FOLDER)
    # Before an hour of training whose results nobody could find.
    number = environment.require("GITHUB_RUN_ID")
    take_from_base(root, tree, line)
    # Not everything that git tracks: what models are measured on is none of a branch's business.
    tracked = [f"{path}.dvc" for path in line.inputs() if tree.read(f"{path}.dvc") is not None]
    data, stages = [os.path.relpath(path, FOLDER) for path in sorted(tracked)], [stage.name for stage in line.stages]
    # What main never pushed is made anew by the pipeline; only the data itself cannot be.
    dvc(root, "pull", "--allow-missing", *data, *stages)
    require_data(root, tree, line)
    dvc(root, "repro")
    leave(root, tree, line, number)


if __name__ == "__main__":
    run(main)
