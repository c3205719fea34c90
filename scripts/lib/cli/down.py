"""Take the platform off this host. Its data stays unless --purge says otherwise."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cli import ansible, app, console, lock
from cli.failure import BadInput, Failure
from cli.steps import Action, Context, Runner, Step
from mlplatform.host import folders, removal
from mlplatform.host.removal import Change
from settings import ROOT, Paths

_PLAYBOOK = "down.yml"


@dataclass(frozen=True)
class Loss:
    """Something that a purge deletes: where it is and its size in bytes."""

    name: str
    path: Path
    size: int


# What entries of the state directory are to people; a bucket has a line of its own.
_NAMES = {
    "gitea": "the forge: repository, pull requests, accounts",
    "pulumi": "Pulumi's state",
    "secrets": "generated secrets",
    "etcd": "the cluster's objects",
}


def losses(paths: Paths, keep_cache: bool) -> list[Loss]:
    """What `--purge` would delete, each entry of the platform's folders and each bucket apart."""
    found = []
    for path in folders.own(paths.state, folders.STATE):
        if path.name == "registry":
            found.append(Loss(f"registry: {_images(path)}", path, size(path)))
        elif path.name == "object-store":
            buckets = [Loss(f"bucket {one.name}", one, size(one)) for one in _folders(path / "buckets")]
            rest = size(path) - sum(one.size for one in buckets)
            found += [*buckets, Loss("the object store's old versions and accounts", path, rest)]
        else:
            found.append(Loss(_NAMES.get(path.name, f"state: {path.name}"), path, size(path)))
    if not keep_cache:
        found += [Loss(f"cache: {path.name}", path, size(path)) for path in folders.own(paths.cache, folders.CACHE)]
    return found


def kept(paths: Paths, keep_cache: bool) -> list[Path]:
    """What lies in the folders that a purge empties and is not the platform's: it stays."""
    cache = [] if keep_cache else folders.foreign(paths.cache, folders.CACHE)
    return [*folders.foreign(paths.state, folders.STATE), *cache]


def size(path: Path) -> int:
    """Bytes that files under `path` occupy; a file with several links counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for file in _walk(path) if path.is_dir() and not path.is_symlink() else [path]:
        try:
            status = file.lstat()
        except OSError:
            continue  # it was removed meanwhile
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total


def human(count: int) -> str:
    """Bytes as `12.3 MiB`."""
    number = float(count)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


def _walk(path: Path) -> Iterable[Path]:
    for name, below, files in os.walk(path):
        folder = Path(name)
        # What pods have mounted below the state directory is not its own.
        below[:] = [one for one in below if not (folder / one).is_mount()]
        yield from (folder / file for file in files)


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.glob("[!.]*") if one.is_dir())


def _images(registry: Path) -> str:
    repositories = registry / "data" / "docker" / "registry" / "v2" / "repositories"
    names = sorted(str(one.parent.relative_to(repositories)) for one in repositories.glob("**/_manifests"))
    return f"{len(names)} images" + (f" ({', '.join(names)})" if names else "")


def outside(cluster: str, purge: bool) -> list[Path]:
    """What of the checkout goes with the data: the link to the settings of the stack, which lie beside its state."""
    link = ROOT / "clusters" / f"Pulumi.{cluster}.yaml"
    return [link] if purge and link.is_symlink() else []


def _show(taken: list[str], lost: list[Loss], stays: list[Path], *, keeps_data: bool) -> None:
    """Say what goes: `taken` off the host, and what is `lost` of the data."""
    shown = console.err()
    if not taken and not lost:
        shown.print("There is nothing of the platform to take off this host.")
    if taken:
        shown.print(f"[bold]This goes off the host{'; all data stays' if keeps_data else ''}:[/bold]")
    for line in taken:
        shown.print(f"  {line}", markup=False)
    if lost:
        shown.print("[bold]This will be lost:[/bold]")
    for one in lost:
        shown.print(f"  {human(one.size):>10}  {one.name} ({one.path})", markup=False)
    for path in stays:
        shown.print(f"  stays, because the platform did not make it: {path}", markup=False)


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("nothing was deleted: there is no terminal to ask on", "add --yes to delete all of this")
    if input("Delete all of this? Type yes: ").strip() != "yes":
        raise Failure("nothing was deleted", "answer yes, or run scripts/down without --purge to keep the data")


def _act(arguments: argparse.Namespace) -> int:
    if arguments.environment:
        if arguments.purge or arguments.keep_cache:
            raise BadInput("--purge is for this machine", "--environment leaves nothing behind as it is")
        from cli import aws_down  # noqa: PLC0415 - AWS's client is slow to import, and this machine needs none

        aws_down.run(arguments.environment, arguments.yes)
        return 0
    cluster, paths = app.cluster(arguments.cluster), Paths.from_environment()
    if arguments.keep_cache and not arguments.purge:
        raise BadInput("--keep-cache goes with --purge", "without --purge neither data nor caches are deleted")
    with lock.held("down"):
        if arguments.purge:
            _refuse(paths, arguments.keep_cache)
        # A purge deletes the state directory, its logs included; a folder of somebody else gets none.
        keeps_logs = folders.is_ours(paths.state, folders.STATE) and not arguments.purge
        logs = paths.state / "logs" if keeps_logs else Path(tempfile.mkdtemp(prefix="ml-platform-down-"))
        _take_off(Runner(console.err(), logs, "down"), cluster.name, paths, arguments)
        # Kept where something failed, whose message names its log.
        if not keeps_logs:
            shutil.rmtree(logs, ignore_errors=True)
    return 0


def _take_off(runner: Runner, cluster: str, paths: Paths, arguments: argparse.Namespace) -> None:
    """List what goes, ask before data is deleted, and do it."""
    purge, keep_cache = arguments.purge, arguments.keep_cache
    changes: list[Change] = []

    def look(context: Context) -> None:
        changes.extend(ansible.changes(context, _PLAYBOOK, cluster, paths, purge=purge))

    runner.run(
        [
            Step(
                "list",
                "See what goes off the host",
                look,
                fix="nothing was changed yet: put that right, then run this again",
            )
        ]
    )
    links = outside(cluster, purge)
    taken = [
        *removal.lines(changes, [os.path.realpath(paths.state), "/run"]),
        *(f"Delete the link: {path}" for path in links),
    ]
    ours = folders.is_ours(paths.state, folders.STATE)
    if ours and not purge and (stamp := paths.state / "up.json").exists():
        taken.append(f"Forget what the last scripts/up did: {stamp}")
    lost = losses(paths, keep_cache) if purge else []
    _show(taken, lost, kept(paths, keep_cache) if purge else [], keeps_data=not purge)
    if purge:
        try:
            _confirm(arguments.yes)
        except Failure:
            shutil.rmtree(runner.logs, ignore_errors=True)
            raise
        folders.prepare_purge(paths.state, folders.STATE)
    if ours:
        (paths.state / "up.json").unlink(missing_ok=True)

    def take_off(context: Context) -> str:
        return ansible.playbook(context, _PLAYBOOK, cluster, paths, purge=purge)

    def delete(folder: Path, kind: folders.Kind) -> Action:
        return lambda context: _told(folders.purge(folder, kind))

    steps = [Step("host", "Take the platform off the host", take_off, fix="run scripts/down again: it goes on")]
    if purge:
        steps.append(Step("data", "Delete the data", delete(paths.state, folders.STATE), ("host",)))
        if not keep_cache:
            steps.append(Step("caches", "Delete the caches", delete(paths.cache, folders.CACHE), ("data",)))
    runner.run(steps)
    for link in links:
        link.unlink(missing_ok=True)
    if not purge:
        runner.console.print(f"The data stays in {paths.state}; scripts/up restores the same deployments.")


def _refuse(paths: Paths, keep_cache: bool) -> None:
    """Raise SettingsError, before anything is stopped, for what a purge could not delete or must not."""
    folders.refuse_foreign(paths.state, folders.STATE)
    # What pods and containers have mounted goes with them.
    folders.refuse_mounts(paths.state, frozenset({"kubelet", "containerd"}))
    if not keep_cache:
        folders.refuse_foreign(paths.cache, folders.CACHE)
        folders.refuse_mounts(paths.cache)


def _told(left: list[Path]) -> str:
    return f"left: {', '.join(map(str, left))}" if left else ""


def main() -> int:
    """The verb."""
    parser = app.parser(
        "down",
        "List what of the platform is on this host, then take it off: processes, mounts, addresses, firewall rules.\n"
        "Its data stays, and the next scripts/up restores the same deployments.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--cluster", default="local", help="a folder of clusters/ (default: %(default)s)")
    where.add_argument(
        "--environment", metavar="NAME", help="destroy an environment on AWS with all it holds: shared, dev, ..."
    )
    parser.add_argument("--purge", action="store_true", help="delete data and caches too, after listing what is lost")
    parser.add_argument("--yes", action="store_true", help="do not ask before data is deleted")
    parser.add_argument("--keep-cache", action="store_true", help="with --purge: keep tools, images and environments")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
