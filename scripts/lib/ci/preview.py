"""Job `preview`: say what merging a pull request would do to each stack on AWS, and leave that for the report.

This runs code of the pull request, so it holds credentials that only read; what it leaves is judged by `ci.report`
from main. What is previewed is the merge with main as it is now: a branch that is behind would otherwise seem to
revert what main has gained since.
"""

import os
import sys
import tempfile
from pathlib import Path

from ci import affected, environment, git, handover, login, plan, pulumi
from ci.evidence import MAIN
from ci.failure import Failure, run
from ci.store import Store
from ci.train import commits
from ci.tree import CommitTree

NOTHING_HERE = "this forge has no AWS environments to preview"


def merged(repository: git.Repository, main: str, head: str) -> str:
    """The commit that merging `head` into `main` would make. Raises `Failure` where they conflict."""
    try:
        tree = repository.git("merge-tree", "--write-tree", "--no-messages", main, head).decode().split()[0]
    except Failure:
        raise Failure(f"this branch conflicts with {MAIN}: merge {MAIN} into it") from None
    author = {f"GIT_{role}_{key.upper()}": value for role in ("AUTHOR", "COMMITTER") for key, value in git.BOT.items()}
    arguments = ("commit-tree", tree, "-p", main, "-p", head, "-m", "Preview")
    return repository.git(*arguments, variables=author).decode().strip()


def previews(names: list[str], root: Path) -> dict[str, plan.Plan]:
    """The plan of each stack; one that cannot be made says why and stops no other."""
    found = {}
    for name in names:
        print(f"--- {name}")
        try:
            found[name] = pulumi.preview(root, pulumi.ready(name, "preview", root))
        except pulumi.NotThere as absent:
            print(absent)
            found[name] = plan.Plan(absent=True)
        except Failure as failure:
            found[name] = plan.Plan(error=str(failure)[: plan.MOST_TEXT])
        print(f"{name}: {found[name].error or found[name].summary}")
    return found


def start(repository: git.Repository, root: Path) -> None:
    """Check out what is to be previewed, and go on there: its own scripts, with its own packages."""
    base, head = commits(repository, environment.event())
    names = affected.affected(repository.changed(base, head), affected.known(CommitTree(repository, head)))
    if not names:
        print("no stack on AWS is affected: nothing to preview")
        return
    if login.source() is login.Source.NONE:
        print(f"{NOTHING_HERE}: nothing to do for {', '.join(names)}")
        return
    main = repository.commit(f"refs/remotes/origin/{MAIN}")
    if main is None:
        raise Failure("the checkout lacks main: check out with fetch-depth: 0")
    repository.git("checkout", "--quiet", "--detach", merged(repository, main, head))
    sys.stdout.flush()
    script = root / "scripts/ci/preview"
    os.execv(script, [str(script), head, main, *names])  # noqa: S606 - no shell is wanted


def main() -> None:
    root = environment.ROOT
    match sys.argv[1:]:
        case []:
            start(git.Repository(root), root)
        case [head, base, *names]:
            # Before the first credential is fetched, so that what cannot be handed over is not made.
            store, number = Store.connect(environment.require("DATA_BUCKET")), environment.require("GITHUB_RUN_ID")
            result = plan.Preview(commit=head, main=base, stacks=previews(names, root))
            with tempfile.NamedTemporaryFile(prefix="preview-") as stream:
                stream.write(result.model_dump_json().encode())
                stream.flush()
                handover.leave(store, number, Path(stream.name))
            if failed := [name for name, found in result.stacks.items() if found.failed]:
                raise Failure(f"the preview of {', '.join(failed)} failed: the lines above and the comment say why")


if __name__ == "__main__":
    run(main)
