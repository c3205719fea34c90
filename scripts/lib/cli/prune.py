"""Remove what is unused on this machine and old, or too much: images, environments, tools and downloads."""

import argparse
import json
import os
import shutil
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import forge
from ci import named
from ci.failure import Failure as JobFailure
from cli import ansible, app, console, lock, people, process
from cli.down import human, size
from cli.failure import BadInput, Failure
from cli.repair_data import with_objects_of
from cli.steps import Runner, Step
from forge import ForgeError
from images.catalog import images as catalog
from images.errors import ImageError
from images.registry import Registry
from mlplatform import retention
from mlplatform.base_layer.environments import key_of
from mlplatform.host import folders
from mlplatform.host.downloads import GoModules, Packages
from mlplatform.host.leftovers import Cache
from mlplatform.registry import prune as registry
from mlplatform.retention import DAY, GIB, Limit, Unused
from settings import ROOT, Cluster, Paths
from toolchain import load

# An environment of training takes 6 GiB, and that of its tests as much: those of one earlier version may stay.
LIMIT = Limit(30 * DAY, 15 * GIB)


@dataclass(frozen=True)
class Download:
    """What was unpacked in the cache to build or install from, and can be downloaded again."""

    kind: str
    path: Path


GO, UV = "Go modules", "Python packages"
Thing = Path | Download | tuple[registry.Image, ...]
"""A file or folder of the cache, a download, or an image with those that it consists of."""


@dataclass(frozen=True)
class Found:
    """What goes, the oldest first, and the bytes of what is unused too and stays for now."""

    going: list[Unused[Thing]]
    staying: int = 0

    @property
    def folders(self) -> list[Path]:
        return [one.what for one in self.going if isinstance(one.what, Path)]

    @property
    def images(self) -> list[registry.Image]:
        return [image for one in self.going if isinstance(one.what, tuple) for image in one.what]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.going)

    def downloads(self, kind: str) -> list[Path]:
        return [one.what.path for one in self.going if isinstance(one.what, Download) and one.what.kind == kind]


def data(paths: Paths) -> Path:
    """Where the registry keeps its images."""
    return paths.state / "registry" / "data"


def named_images(cluster: Cluster, paths: Paths) -> set[str]:
    """What must stay: digests that commits name which lead to main, an open pull request or a tag; the platform's own
    images as `repository:tag` and, as they were brought here last, by digest. Raises Failure, SettingsError.
    """
    account, url = people.administrator(paths), cluster.forge.clone_url
    credentials = forge.Password(account.user, account.password)
    try:
        place = cluster.forge
        with closing(forge.connect(place.kind, place.url, place.repository, credentials)) as client:
            heads = {f"refs/pull/{pull.number}/head": f"refs/pulls/{pull.number}" for pull in client.pull_requests()}
        with people.main_of_forge(cluster, paths) as scratch:
            fetched = [f"+{theirs}:{ours}" for theirs, ours in heads.items()]
            scratch.git("fetch", "--quiet", url, "+refs/tags/*:refs/tags/*", *fetched)
            found = named.images(with_objects_of(scratch), ["refs/heads/main", "--tags", *heads.values()])
    except (ForgeError, JobFailure) as error:
        raise Failure(
            f"what is in use cannot be told: {error}", "scripts/status tells whether the forge is up"
        ) from None
    try:
        brought = json.loads((paths.state / "images.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{paths.state / 'images.json'}: cannot be read: {error}", "scripts/up writes it anew") from None
    return {*found, *brought.values(), *(image.path for image in catalog().values())}


def look(cluster: Cluster, paths: Paths, limit: Limit, now: datetime) -> Found:
    """What may go of this machine. Raises Failure, SettingsError."""
    unused = [*unused_in_cache(paths), *unused_images(cluster, paths)]
    going = retention.due(unused, limit, now)
    return Found(going, sum(one.size for one in unused) - sum(one.size for one in going))


def unused_in_cache(paths: Paths) -> list[Unused[Thing]]:
    """Environments, tools and downloads that this checkout has no use for. Raises Failure, SettingsError."""
    # Before anything is read there: somebody else's folder is nobody's to look through.
    folders.refuse_foreign(paths.cache, folders.CACHE)
    folders.refuse_mounts(paths.cache)
    environments = [f"{path.stem}-{key_of(path.read_bytes())}" for path in (ROOT / "requirements").glob("*.txt")]
    tools = [paths.tools / tool.name / tool.version for tool in load().values()]
    cache = Cache(paths.cache, [*(paths.cache / "venvs" / name for name in environments), *tools])
    sums = [path.read_text(encoding="utf-8") for path in (ROOT / "infra" / "toolchain" / "go").glob("*/go.sum")]
    modules, packages = go_modules(paths), python_packages(paths)
    try:
        found = {
            GO: modules.unused(sums, size) if _is_own(modules.folder, paths) else [],
            UV: packages.unused(size) if _is_own(packages.folder, paths) else [],
        }
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be read ({error.strerror})", "run it as root") from None
    downloads = [
        Unused(Download(kind, one.what), one.size, one.since) for kind, several in found.items() for one in several
    ]
    return [*cache.unused(size), *downloads]


def go_modules(paths: Paths) -> GoModules:
    """Where tools are built from."""
    return GoModules(paths.cache / "go" / "mod")


def python_packages(paths: Paths) -> Packages:
    """Where environments are made from."""
    return Packages(paths.cache / "uv")


def _is_own(folder: Path, paths: Paths) -> bool:
    """Whether no link in the cache leads away to it: what is elsewhere is somebody's."""
    return not any(path.is_symlink() for path in (folder, *folder.parents) if paths.cache in path.parents)


def unused_images(cluster: Cluster, paths: Paths) -> list[Unused[tuple[registry.Image, ...]]]:
    """The registry's images that are neither named nor among the last of their repository. Raises Failure,
    SettingsError."""
    place = data(paths)
    if not place.is_dir():
        return []
    try:
        found = registry.images(place)
        names = named_images(cluster, paths)
        return registry.unused(found, names, partial(registry.inside, place), partial(registry.blob_size, place))
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be read ({error.strerror})", "run it as root") from None


def show(found: Found, limit: Limit) -> None:
    """List what may go."""
    shown = console.err()
    bounds = f"older than {limit.age.days} days or beyond {human(limit.size)}"
    kept = f"{human(found.staying)} of what nothing uses stay, not being {bounds}, or not a day old"
    if not found.going:
        shown.print(f"Nothing goes: {kept}.")
        return
    shown.print(f"[bold]Used by nothing, and {bounds}:[/bold]")
    for one in found.going:
        if isinstance(one.what, Path):
            shown.print(f"  {human(one.size):>10}  {one.what}, used until {one.since:%Y-%m-%d}", markup=False)
        elif isinstance(one.what, tuple):
            what = ", ".join(f"image {image}" for image in one.what)
            shown.print(f"  {human(one.size):>10}  {what}, pushed {one.since:%Y-%m-%d}", markup=False)
    for kind in (GO, UV):
        several = [one for one in found.going if isinstance(one.what, Download) and one.what.kind == kind]
        if several:
            place = os.path.commonpath([one.what.path.parent for one in several if isinstance(one.what, Download)])
            what = f"{len(several)} {kind} below {place}, there since {several[0].since:%Y-%m-%d} or later"
            shown.print(f"  {human(sum(one.size for one in several)):>10}  {what}", markup=False)
    shown.print(f"{human(found.size)} in all go; {kept}.")


def delete_folders(found: Found) -> None:
    """Delete what is left in the cache: never through a link. Raises Failure."""
    for path in found.folders:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:
            raise Failure(f"{error.filename}: cannot be deleted ({error.strerror})", "run it as root") from None


def delete_downloads(found: Found, paths: Paths) -> None:
    """Delete Go's modules, and have uv delete its packages. Raises Failure."""
    modules, packages = go_modules(paths), python_packages(paths)
    try:
        for path in found.downloads(GO):
            modules.delete(path)
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be deleted ({error.strerror})", "run it as root") from None
    if going := found.downloads(UV):
        # uv itself, which waits until nobody installs: by name what it can find, then what nothing leads to any more.
        environment = {**os.environ, "UV_CACHE_DIR": str(packages.folder)}
        uv = paths.bin / "uv"
        if names := packages.names(going):
            process.output([uv, "cache", "clean", *names], environment=environment, timeout=600)
        process.output([uv, "cache", "prune"], environment=environment, timeout=600)


def delete_images(found: Found, store: Registry) -> None:
    """Have the registry forget images. Raises Failure."""
    try:
        for image in found.images:
            store.delete(image.repository, image.digest)
    except ImageError as error:
        raise Failure(str(error), "scripts/status tells whether the registry is up") from None


def confirm(yes: bool) -> None:
    """Ask, unless told not to. Raises BadInput where nobody can be asked, Failure where the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("nothing was deleted: there is no terminal to ask on", "add --yes to delete all of this")
    if input("Delete all of this? Type yes: ").strip() != "yes":
        raise Failure("nothing was deleted", "answer yes, or use --dry-run to look only")


def _act(arguments: argparse.Namespace) -> int:
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    with lock.held("prune"):
        limit = Limit(arguments.older_than, arguments.to_size)
        found = look(cluster, paths, limit, datetime.now(UTC))
        show(found, limit)
        if arguments.dry_run or not found.going:
            return 0
        confirm(arguments.yes)
        before = size(paths.cache) + size(data(paths))
        delete_folders(found)
        delete_downloads(found, paths)
        if found.images:
            store = Registry(cluster.registry.host, paths.secret("registry-password"), paths.bin / "crane")
            delete_images(found, store)
            again = "run scripts/prune again; scripts/up starts the registry where it is not up"
            runner = Runner(console.err(), paths.state / "logs", "prune")
            runner.run(
                [
                    Step(
                        "registry",
                        "Free what the images held, with the registry stopped meanwhile",
                        lambda context: ansible.playbook(context, "prune_registry.yml", cluster.name, paths),
                        fix=again,
                    )
                ]
            )
        freed = before - size(paths.cache) - size(data(paths))
        console.err().print(f"freed {human(max(freed, 0))}")
    return 0


def days(text: str) -> timedelta:
    """An age, of a day at least. Raises ArgumentTypeError."""
    try:
        if (found := int(text) * DAY) >= DAY:
            return found
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no number of days, such as 7; what is younger than 1 stays anyway")


def gibibytes(text: str) -> int:
    """Bytes. Raises ArgumentTypeError."""
    try:
        if (found := int(float(text) * GIB)) >= 0:
            return found
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no size in GiB, such as 5 or 0.5")


def main() -> int:
    """The verb."""
    age, most = LIMIT.age.days, LIMIT.size // GIB
    parser = app.parser(
        "prune",
        f"""Remove what this machine does not use: images that no commit of main, of an open pull request or of a tag
names, but for the last ten of each repository; Python environments and tools of earlier versions; Go modules and
Python packages that none of today's are made of, and that can be downloaded again. What is older than {age} days
goes, and the oldest of the rest while all of it takes more than {most} GiB; nothing does within its first day. Lists
everything first, and asks. Data in the object store is pruned by the workflow prune.

The disk is full: scripts/prune --to-size 0""",
    )
    parser.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    parser.add_argument(
        "--older-than",
        type=days,
        default=LIMIT.age,
        metavar="DAYS",
        help=f"remove what has been unused for more days than this (default: {age})",
    )
    parser.add_argument(
        "--to-size",
        type=gibibytes,
        default=LIMIT.size,
        metavar="GIB",
        help=f"remove the oldest until what is unused takes no more than this (default: {most})",
    )
    parser.add_argument("--dry-run", action="store_true", help="only list what would go")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
