"""What commits name: every object of DVC's and every image that any commit of some histories has or had.

Whatever looks like a name counts as one, in any file that may hold names. So nothing that is named is overlooked, and
no file that somebody broke keeps the rest from being read.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from ci.failure import Failure
from ci.git import Repository
from ci.tree import READ_LIMIT
from mlplatform.releases import DIGEST

OBJECT = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")
_OVERLAY = re.compile(r"apps/[^/]+/(base|overlays)/")
_NO_FILE = ("000000", "160000")


def objects(repository: Repository, revisions: Sequence[str]) -> frozenset[str]:
    """MD5s (with `.dir` for a folder) in every `.dvc` file and `dvc.lock` of all history that leads to `revisions`.

    Raises `Failure` where a commit or a file cannot be read.
    """
    found = _texts(repository, revisions, lambda path: path.endswith(".dvc") or path.split("/")[-1] == "dvc.lock")
    return frozenset(name.decode() for text in found for name in OBJECT.findall(text))


def images(repository: Repository, revisions: Sequence[str]) -> frozenset[str]:
    """Digests in every manifest of an app in all history that leads to `revisions`. Raises `Failure`."""
    found = _texts(repository, revisions, lambda path: bool(_OVERLAY.match(path)))
    return frozenset(name for text in found for name in DIGEST.findall(text.decode(errors="replace")))


def _texts(repository: Repository, revisions: Sequence[str], picks: Callable[[str], bool]) -> Iterator[bytes]:
    """Each content that a file, whose path `picks` chooses, has in some commit."""
    if repository.git("rev-parse", "--is-shallow-repository").strip() == b"true":
        raise Failure("the checkout lacks history, so nobody can tell what is named: check out with fetch-depth: 0")
    commits = repository.git("rev-list", *revisions, "--")
    # What differs from no parent is in the parent, so this shows every file of every commit.
    options = ("--stdin", "-m", "--root", "-r", "-z", "--no-renames", "--no-commit-id")
    parts = iter(repository.git("diff-tree", *options, stdin=commits).split(b"\0"))
    blobs = set()
    for about, path in zip(parts, parts, strict=False):
        _, mode, _, blob, _ = about.decode().split()
        if mode not in _NO_FILE and picks(path.decode(errors="replace")):
            blobs.add(blob)
    wanted = "".join(f"{blob}\n" for blob in sorted(blobs)).encode()
    for line in repository.git("cat-file", "--batch-check", stdin=wanted).decode().splitlines():
        if not line.split()[-1].isdigit() or int(line.split()[-1]) > READ_LIMIT:
            raise Failure(f"git object {line}: it may name what is kept, and is missing or too large to read")
    answer, place = repository.git("cat-file", "--batch", stdin=wanted), 0
    while place < len(answer):
        end = answer.index(b"\n", place)
        size = int(answer[place:end].split()[-1])
        yield answer[end + 1 : end + 1 + size]
        place = end + 1 + size + 1
