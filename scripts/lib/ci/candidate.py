"""What a training run hands over for review: the lock, metrics and plots of one commit, through the object store.

The job that writes it runs a pull request's code, so the job that reads it takes it for hostile: it accepts the files
that the commit's own pipeline declares, of limited size, and only where lock, commit and files agree hash for hash.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ci import lock
from ci.failure import Unacceptable
from ci.pipeline import Pipeline
from ci.store import Store
from ci.tree import Overlay, Tree

MOST_FILES = 64
MOST_BYTES = 1024**2


class CandidateError(Unacceptable):
    """A candidate that must not be committed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Files by their path from the repository's root, and what they replace."""

    files: Mapping[str, bytes]
    replaced: frozenset[str]

    def over(self, tree: Tree) -> Overlay:
        """The commit's files with the candidate in place of what they had."""
        return Overlay(tree, self.replaced, self.files)

    def differs_from(self, tree: Tree) -> bool:
        """Whether there is anything to commit."""
        return any(tree.read(path) != content for path, content in self.files.items())


def prefix(sha: str) -> str:
    """Where the results of training a commit lie in the data bucket."""
    return f"runs/{sha}/"


def upload(store: Store, sha: str, files: Mapping[str, bytes]) -> None:
    """Leave a candidate for the commit `sha`; the lock is written last, so a candidate with a lock is whole."""
    # An earlier run of the same commit may have left more.
    for key in store.sizes(prefix(sha), 1000).keys() - {prefix(sha) + path for path in files}:
        store.delete(key)
    for path in sorted(files, key=lambda name: name.endswith("/dvc.lock")):
        store.put(prefix(sha) + path, files[path])


def download(store: Store, sha: str, pipeline: Pipeline) -> Candidate | None:
    """The candidate of a commit, `None` where there is none. Raises `CandidateError` where it is not to be accepted."""
    start = prefix(sha)
    sizes = store.sizes(start, MOST_FILES + 1)
    if start + pipeline.lock_path not in sizes:
        return None
    if len(sizes) > MOST_FILES:
        raise CandidateError(f"training left more than {MOST_FILES} files")
    replaced = pipeline.in_git() | {pipeline.lock_path}
    files = {}
    for key, size in sorted(sizes.items()):
        path = key.removeprefix(start)
        if not any(path == top or path.startswith(f"{top}/") for top in replaced) or ".." in path.split("/"):
            raise CandidateError(f"training left {path[:200]!r}, which is no output in git of the pipeline")
        if size > MOST_BYTES:
            raise CandidateError(f"{path} has {size} bytes; {MOST_BYTES} are allowed")
        files[path] = store.get(key, MOST_BYTES)
        try:
            files[path].decode("utf-8")
        except UnicodeDecodeError:
            raise CandidateError(f"{path} is not text: track it with DVC") from None
    return Candidate(files, replaced)


def check(candidate: Candidate, tree: Tree, pipeline: Pipeline) -> None:
    """Refuse a candidate unless it makes the lock of `tree` fresh. Raises `CandidateError` with every reason."""
    if found := lock.problems(candidate.over(tree), pipeline):
        raise CandidateError(f"what training left does not belong to this commit: {'; '.join(found[:5])}")
