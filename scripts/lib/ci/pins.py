"""Whether a pull request may pin an environment to a release: the gate's part that reads pins."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ci import deployments, manifests
from ci.document import DocumentError
from ci.git import Repository
from ci.tree import CommitTree, Tree
from mlplatform import checkout, pin
from mlplatform.pin import Pin, PinError
from mlplatform.releases import has_registry, overlay_folder

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
        if deployments.environment_before(self.main, environment) is not None:
            return self.of_main(app, environment)
        if not self.main.files(overlay_folder(app, environment)):
            return None
        return Pin(self.main.commit, images(self.main, app, environment))

    def digests(self, app: str, environment: str) -> frozenset[str]:
        """Every digest that main has an environment run, also those that its overlay adds. Raises `DocumentError`."""
        pinned = self.of_main(app, environment)
        if pinned is None:
            return manifests.read(self.main, app, environment).digests
        return self._overlay(app, environment, pinned).digests | frozenset(pinned.images.values())

    def earlier(self, app: str, environment: str) -> list[Pin]:
        """What an environment ran before it first got its current pin, the newest first, each once."""
        versions = list(self._versions(pin.path(app, environment)))
        oldest = max((at for at, content in enumerate(versions) if content == versions[0]), default=0)
        return _parsed(versions[oldest + 1 :])

    def all_of(self, app: str, environment: str) -> list[Pin]:
        """All that main has pinned an environment to, the newest first, each once."""
        return _parsed(self._versions(pin.path(app, environment)))

    def content(self, app: str, environment: str, release: Pin) -> tuple[str, ...]:
        """What a release comes to in an environment, as git names it. Raises `DocumentError`."""
        return (*self.shared(app, release), *self._own(app, environment, release.revision))

    def shared(self, app: str, release: Pin) -> tuple[str, ...]:
        """What a release comes to in every environment: its images, and the manifests that all of them share.

        Raises `DocumentError`.
        """
        folders = manifests.shared(CommitTree(self.repository, release.revision), app)
        images = (f"{image}@{digest}" for image, digest in sorted(release.images.items()))
        return (*images, *self._listed(release.revision, *folders))

    def placed(self, app: str, environment: str, release: Pin) -> Pin | None:
        """The same release at a commit of main where the environment's overlay is main's: its own commit, or the first
        after it; `None` where main has none. Raises `DocumentError`."""
        wanted, own = self.shared(app, release), self._own(app, environment, self.main.commit)
        between = self.repository.git(
            *("rev-list", "--first-parent", "--reverse", f"{release.revision}..{self.main.commit}", "--", f"apps/{app}")
        )
        for revision in (release.revision, *between.decode().split()):
            found = Pin(revision, release.images)
            if self._own(app, environment, revision) == own and self.shared(app, found) == wanted:
                return found
        return None

    def problems(self, app: str, environment: str, before: str | None, head: Tree) -> Iterator[str]:
        """Why the pin that a pull request gives an environment must not be merged, in sentences.

        Args:
            before: the environment from which releases come here, `None` for the first.
            head: the pull request's files.
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
            if before is None:
                yield f"{where}: {environment} follows main, and no release is pinned there: delete the file"
            elif content in self._versions(where):
                yield from (f"{where}: {problem}" for problem in self._unseen(app, before, wanted))
            else:
                yield from (f"{where}: {problem}" for problem in self._unproven(app, environment, before, wanted))
        except (PinError, DocumentError) as error:
            yield f"{where}: {error}"

    def _unseen(self, app: str, before: str, wanted: Pin) -> Iterator[str]:
        """Why a release that main has pinned the environment to may not come back: it may all the same have come there
        by a merge that nobody allowed."""
        for image, digest in wanted.images.items():
            if not deployments.was_deployed(self.repository, self.main.commit, overlay_folder(app, before), digest):
                yield f"{image}@{digest[:19]} never ran in {before}: go back to a release that did"

    def _unproven(self, app: str, environment: str, before: str, wanted: Pin) -> Iterator[str]:
        """Why a release that an environment never had may not come there. Raises `DocumentError`."""
        short, folder = wanted.revision[:10], overlay_folder(app, environment)
        if not self._is_of_main(wanted.revision):
            yield f"{short} is no commit of main, nor a merge into it"
            return
        then = CommitTree(self.repository, wanted.revision)
        if not then.files(folder):
            yield f"{short} has no {folder}/{manifests.FILE}: pin a commit of main that has it"
            return
        # Main may be older than these rules.
        said = self._overlay(app, environment, wanted)
        faults = [said.problem] if said.problem else []
        faults += deployments.altered(then, (checkout.FILE, *then.files("apps")))
        if faults:
            yield from (f"at {short}, {fault}" for fault in faults)
            return
        if self._own(app, environment, wanted.revision) != self._own(app, environment, self.main.commit):
            yield f"{short} has another {folder} than main: pin a commit that has main's"
        for name in sorted({name for name, _ in said.images if not has_registry(name)} - {app, *wanted.images}):
            # The Application says in which registry ours are, of the app's own and those that the pin names.
            yield f"at {short}, {folder} names the image {name}, and {before} has none of this name: list it there too"
        if not self._is_run(app, before, wanted):
            yield f"{before} does not run this release: what differs runs there first, and is promoted from there"

    def _is_of_main(self, revision: str) -> bool:
        """Whether main has been at a commit; those of merged branches never were main's."""
        return revision in self.repository.git("rev-list", "--first-parent", self.main.commit).decode().split()

    def _is_run(self, app: str, environment: str, release: Pin) -> bool:
        """Whether main has an environment run a release: the manifests that all share, and the images."""
        found = self.runs(app, environment)
        return found is not None and self.shared(app, found) == self.shared(app, release)

    def _versions(self, where: str) -> Iterator[bytes]:
        """What main has had in a file, the newest first."""
        options = ("--first-parent", f"--max-count={MOST_VERSIONS}", "--format=%H")
        for commit in self.repository.git("log", *options, self.main.commit, "--", where).decode().split():
            if (content := CommitTree(self.repository, commit).read(where)) is not None:
                yield content

    def _overlay(self, app: str, environment: str, release: Pin) -> manifests.Content:
        """What the overlay says that a release has an environment run."""
        return manifests.read(CommitTree(self.repository, release.revision), app, environment)

    def _own(self, app: str, environment: str, revision: str) -> tuple[str, ...]:
        """What a commit has in an environment's overlay, without its pin."""
        listed = self._listed(revision, overlay_folder(app, environment))
        return tuple(line for line in listed if not line.endswith(f"\t{pin.path(app, environment)}"))

    def _listed(self, revision: str, *folders: str) -> tuple[str, ...]:
        """Name, mode and content, as git names it, of the files below folders."""
        listed = self.repository.git("ls-tree", "-r", "-z", "--full-tree", revision, "--", *folders)
        return tuple(entry.decode(errors="replace") for entry in listed.split(b"\0") if entry)


def images(tree: Tree, app: str, environment: str) -> dict[str, str]:
    """The images of an overlay as a pin names them. Raises `DocumentError` where it cannot: then its base must."""
    content = manifests.read(tree, app, environment)
    if content.problem:
        raise DocumentError(content.problem)
    where = f"{overlay_folder(app, environment)}/{manifests.FILE}: images"
    for name, digest in content.pinned.items():
        if (name, digest) not in content.images:
            raise DocumentError(f"{where}: {name} has a newName, which no pin carries: name it so in ../../base")
        if not pin.NAME.fullmatch(name):
            raise DocumentError(f"{where}: {name}: no pin carries such a name: let it have small letters only")
    return dict(content.pinned)


def _parsed(contents: Iterable[bytes]) -> list[Pin]:
    """The pins among contents of a file, each once."""
    found = []
    for content in dict.fromkeys(contents):
        try:
            found.append(pin.parse(content))
        except PinError:
            continue
    return found
