"""Whether a pull request may pin an environment to a release: the gate's part that reads pins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ci import manifests
from ci.deployments import environment_before
from ci.document import DocumentError
from ci.git import Repository
from ci.tree import CommitTree, Tree
from mlplatform import pin
from mlplatform.pin import Pin, PinError
from mlplatform.releases import overlay_folder

# How far back a release is looked for to which an environment returns.
MOST_VERSIONS = 500


@dataclass(frozen=True, slots=True)
class Release:
    """An app as an environment runs it: the manifests that all environments share, as git names them, and its
    images."""

    base: str
    images: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pins:
    """What main's history says of releases. `main`: its newest commit."""

    repository: Repository
    main: CommitTree

    def of_main(self, app: str, environment: str) -> Pin | None:
        """What an environment is pinned to on main, `None` where it is not. Raises `DocumentError`."""
        where = pin.path(app, environment)
        content = self.main.read(where)
        try:
            return None if content is None else pin.parse(content)
        except PinError as error:
            raise DocumentError(f"{where}: {error}") from None

    def runs(self, app: str, environment: str) -> Release | None:
        """What main has an environment run, `None` where that is nothing. Raises `DocumentError`."""
        if environment_before(self.main, environment) is None:
            if not self.main.files(overlay_folder(app, environment)):
                return None
            return Release(self._base(app, self.main.commit), images(self.main, app, environment))
        found = self.of_main(app, environment)
        return None if found is None else Release(self._base(app, found.revision), found.images)

    def problems(self, app: str, environment: str, before: str | None, head: Tree) -> Iterator[str]:
        """Why the head's pin of an environment must not be merged, in sentences.

        Args:
            before: the environment from which releases come here, `None` for the first.
        """
        where = pin.path(app, environment)
        content = head.read(where)
        if content is None:
            if self.main.read(where) is not None and head.files(overlay_folder(app, environment)):
                yield f"{where}: is gone, and {environment} runs what it says: put it back"
            return
        if content == self.main.read(where):
            return
        try:
            wanted = pin.parse(content)
        except PinError as error:
            yield f"{where}: {error}"
            return
        if before is None:
            yield f"{where}: {environment} follows main, and no release is pinned there: delete the file"
        elif not self._had(where, content):
            yield from (f"{where}: {problem}" for problem in self._unproven(app, environment, before, wanted))

    def _unproven(self, app: str, environment: str, before: str, wanted: Pin) -> Iterator[str]:
        """Why a release that an environment never had may not come there."""
        short = wanted.revision[:10]
        if not self._is_of_main(wanted.revision):
            yield f"{short} is no commit of main, nor a merge into it"
            return
        then = CommitTree(self.repository, wanted.revision)
        if not then.files(overlay_folder(app, environment)):
            overlay = f"{overlay_folder(app, environment)}/{manifests.FILE}"
            yield f"{short} has no {overlay}: pin a commit of main that has it"
        elif problem := manifests.read(then, app, environment).problem:
            # Main may be older than this rule.
            yield f"at {short}, {problem}"
        elif Release(self._base(app, wanted.revision), wanted.images) != self.runs(app, before):
            yield f"{before} does not run this release: what differs runs there first, and is promoted from there"

    def _is_of_main(self, revision: str) -> bool:
        """Whether main has been at a commit; those of merged branches never were main's."""
        return revision in self.repository.git("rev-list", "--first-parent", self.main.commit).decode().split()

    def _had(self, where: str, content: bytes) -> bool:
        """Whether main has had a pin before: a release that an environment ran may come back."""
        options = ("--first-parent", f"--max-count={MOST_VERSIONS}", "--format=%H")
        commits = self.repository.git("log", *options, self.main.commit, "--", where).decode().split()
        return any(CommitTree(self.repository, commit).read(where) == content for commit in commits)

    def _base(self, app: str, revision: str) -> str:
        """What git calls the folder of an app that its environments share, empty where there is none."""
        listed = self.repository.git("ls-tree", "--full-tree", revision, "--", f"apps/{app}/base").decode().split()
        return listed[2] if len(listed) == 4 else ""


def images(tree: Tree, app: str, environment: str) -> dict[str, str]:
    """The images of an overlay as a pin names them. Raises `DocumentError` where it cannot: then its base must."""
    content = manifests.read(tree, app, environment)
    if content.problem:
        raise DocumentError(content.problem)
    for name, digest in content.pinned.items():
        if (name, digest) not in content.images:
            raise DocumentError(
                f"{overlay_folder(app, environment)}/{manifests.FILE}: images: {name} has a newName, which no pin"
                " carries: name it so in ../../base"
            )
    return dict(content.pinned)
