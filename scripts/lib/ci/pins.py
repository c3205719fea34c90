"""Whether a pull request may pin an environment to a release: the gate's part that reads pins."""

from collections.abc import Iterator
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

    def runs(self, app: str, environment: str) -> Pin | None:
        """What main has an environment run, `None` where that is nothing. Raises `DocumentError`."""
        if environment_before(self.main, environment) is not None:
            return self.of_main(app, environment)
        if not self.main.files(overlay_folder(app, environment)):
            return None
        return Pin(self.main.commit, images(self.main, app, environment))

    def earlier(self, app: str, environment: str) -> Iterator[Pin]:
        """What main has pinned an environment to, the newest first, each once."""
        for content in dict.fromkeys(self._versions(pin.path(app, environment))):
            try:
                yield pin.parse(content)
            except PinError:
                continue

    def content(self, app: str, environment: str, release: Pin) -> tuple[str, ...]:
        """What a release comes to in an environment, as git names it."""
        folders = f"apps/{app}/base", overlay_folder(app, environment)
        listed = self.repository.git("ls-tree", "-r", "--full-tree", release.revision, "--", *folders).decode()
        lines = (line for line in listed.splitlines() if not line.endswith(f"\t{pin.path(app, environment)}"))
        return (*lines, *(f"{image}@{digest}" for image, digest in sorted(release.images.items())))

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
        # A release that the environment ran may come back.
        elif content not in self._versions(where):
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
        elif not self._is_run(app, before, wanted):
            yield f"{before} does not run this release: what differs runs there first, and is promoted from there"

    def _is_of_main(self, revision: str) -> bool:
        """Whether main has been at a commit; those of merged branches never were main's."""
        return revision in self.repository.git("rev-list", "--first-parent", self.main.commit).decode().split()

    def _is_run(self, app: str, environment: str, release: Pin) -> bool:
        """Whether main has an environment run a release: the manifests that all share, and the images."""
        found = self.runs(app, environment)
        if found is None or found.images != release.images:
            return False
        return self._base(app, found.revision) == self._base(app, release.revision)

    def _versions(self, where: str) -> Iterator[bytes]:
        """What main has had in a file, the newest first."""
        options = ("--first-parent", f"--max-count={MOST_VERSIONS}", "--format=%H")
        for commit in self.repository.git("log", *options, self.main.commit, "--", where).decode().split():
            if (content := CommitTree(self.repository, commit).read(where)) is not None:
                yield content

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
