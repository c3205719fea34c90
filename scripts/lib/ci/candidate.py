"""What a training run hands over for review: the lock, metrics and plots of one commit, and the objects that the lock
names, in one object that no other run can write.

The job that writes it runs a pull request's code, so the job that reads it takes it for hostile: it accepts the files
that the commit's own pipeline declares, of limited size, and only where lock, commit and files agree hash for hash.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ci import handover, lock
from ci.failure import Unacceptable
from ci.pipeline import Pipeline
from ci.store import Store
from ci.tree import Overlay, Tree
from mlplatform.objects import bundle, verify
from mlplatform.objects.bundle import Bundle, BundleError

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


def write(
    stream: IO[bytes], files: Mapping[str, bytes], named: Iterable[str], cache: Path, has: Callable[[str], bool]
) -> None:
    """Write a candidate: the files for git, and the objects, `named` by MD5, with those of folders among them.

    Args:
        cache: DVC's cache, where the run's objects are.
        has: whether DVC's remote has an object already, which is then left out.

    Raises:
        BundleError: they are too many.
    """
    objects: dict[str, Path] = {}
    for md5 in named:
        if md5 in objects or has(md5):
            continue
        objects[md5] = cache / verify.key("", md5)
        if md5.endswith(verify.FOLDER):
            for file in json.loads(objects[md5].read_bytes()):
                objects.setdefault(file["md5"], cache / verify.key("", file["md5"]))
    bundle.write(stream, files, objects)


def opened(store: Store, run: int) -> Bundle | None:
    """What a workflow run left, `None` where it left nothing. Raises `CandidateError`."""
    try:
        return Bundle.open(store.client, store.bucket, handover.key(run))
    except BundleError as error:
        raise CandidateError(f"what the run left cannot be read: {error}") from None


def read(left: Bundle, pipeline: Pipeline) -> Candidate:
    """The files for git in what a run left. Raises `CandidateError` where they are not to be accepted."""
    if len(left.files) > MOST_FILES:
        raise CandidateError(f"training left more than {MOST_FILES} files")
    replaced = pipeline.in_git() | {pipeline.lock_path}
    files = {}
    for path in sorted(left.files):
        if not any(path == top or path.startswith(f"{top}/") for top in replaced) or ".." in path.split("/"):
            raise CandidateError(f"training left {path[:200]!r}, which is no output in git of the pipeline")
        try:
            files[path] = left.file(path, MOST_BYTES)
            files[path].decode("utf-8")
        except BundleError as error:
            raise CandidateError(str(error)) from None
        except UnicodeDecodeError:
            raise CandidateError(f"{path} is not text: track it with DVC") from None
    return Candidate(files, replaced)


def check(candidate: Candidate, tree: Tree, pipeline: Pipeline) -> None:
    """Refuse a candidate unless it makes the lock of `tree` fresh. Raises `CandidateError` with every reason."""
    if found := lock.problems(candidate.over(tree), pipeline):
        raise CandidateError(f"what training left does not belong to this commit: {'; '.join(found[:5])}")
