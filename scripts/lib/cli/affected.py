"""Which of the repository's own checks the changes of a checkout need."""

from pathlib import Path

from cli import git
from cli.failure import BadInput
from mlplatform.checks.overlay import is_overlay, only_digests
from mlplatform.checks.plan import Plan, plan

# Where a branch is taken to have left main, unless it is said.
MAINS = ("refs/remotes/origin/main", "refs/heads/main")


def since(root: Path, commit: str | None = None) -> Plan:
    """What the checkout needs for all that differs from `commit`, or else from where it left main; what was not
    committed is a part of that. Raises BadInput."""
    repository = git.checkout(root)
    base = _base(repository, commit)
    differing = repository.git("diff", "--name-only", "--no-renames", "-z", base)
    untracked = repository.git("ls-files", "--others", "--exclude-standard", "-z")
    paths = [path for path in (*differing.split("\0"), *untracked.split("\0")) if path]

    def is_digest(path: str) -> bool:
        if not is_overlay(path):
            return False
        before = _file(repository, base, path)
        after = (root / path).read_bytes().rstrip(b"\n") if (root / path).is_file() else None
        return only_digests(path, before, None if after is None else after + b"\n")

    return plan(paths, is_digest)


def targets(root: Path, wanted: tuple[str, ...]) -> list[str]:
    """Tests as pytest is told of them, none for all: in the place of one that is gone, the folder that is left."""
    found = set()
    for one in wanted:
        path = Path(one)
        while not (root / path).exists():
            path = path.parent
        found.add(path.as_posix())
    return [] if "tests" in found else sorted(found)


def _base(repository: git.Repository, commit: str | None) -> str:
    if commit is not None:
        if found := repository.commit(commit):
            return found
        raise BadInput(f"--since: there is no commit {commit}", "give one that `git log` shows")
    for main in MAINS:
        if repository.commit(main):
            return repository.git("merge-base", "HEAD", main)
    raise BadInput("there is no branch main to compare with", "give a commit: --since=COMMIT")


def _file(repository: git.Repository, commit: str, path: str) -> bytes | None:
    name = f"{commit}:{path}"
    # Empty lines at the end, which are stripped of git's answers, are stripped of the checkout's file too.
    return f"{repository.git('show', name)}\n".encode() if repository.succeeds("cat-file", "-e", name) else None
