"""Take the platform off this host. Its data stays unless --purge says otherwise."""

import argparse
import json
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
from mlplatform.host import folders
from settings import ROOT, Paths


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
    found += [Loss("made by the platform's programs", path, size(path)) for path in _side_effects()]
    if not keep_cache:
        found += [Loss(f"cache: {path.name}", path, size(path)) for path in folders.own(paths.cache, folders.CACHE)]
    return found


def kept(paths: Paths, keep_cache: bool) -> list[Path]:
    """What lies in the folders that a purge empties and is not the platform's: it stays."""
    cache = [] if keep_cache else folders.foreign(paths.cache, folders.CACHE)
    return [*folders.foreign(paths.state, folders.STATE), *cache]


def _side_effects() -> list[Path]:
    """Paths outside the platform's folders that were not there before it."""
    try:
        created = json.loads(folders.RECORD.read_text(encoding="utf-8"))["created"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [Path(path) for path in created if os.path.lexists(path)]


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


def _confirm(lost: list[Loss], stays: list[Path], yes: bool) -> None:
    shown = console.err()
    shown.print("[bold]This will be lost:[/bold]")
    for one in lost:
        shown.print(f"  {human(one.size):>10}  {one.name} ({one.path})", markup=False)
    for path in stays:
        shown.print(f"  stays, because the platform did not make it: {path}", markup=False)
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
        ours = folders.is_ours(paths.state, folders.STATE)
        stays = kept(paths, arguments.keep_cache) if arguments.purge else []
        if arguments.purge:
            _refuse(paths, arguments.keep_cache)
            _confirm(losses(paths, arguments.keep_cache), stays, arguments.yes)
            folders.prepare_purge(paths.state, folders.STATE)
        # A purge deletes the state directory, its logs included; a folder of somebody else gets none.
        keeps_logs = ours and not arguments.purge
        logs = paths.state / "logs" if keeps_logs else Path(tempfile.mkdtemp(prefix="ml-platform-down-"))
        if ours:
            (paths.state / "up.json").unlink(missing_ok=True)
        runner = Runner(console.err(), logs, "down")

        def take_off(context: Context) -> str:
            return ansible.playbook(context, "down.yml", cluster.name, paths, purge=arguments.purge)

        def delete(folder: Path, kind: folders.Kind) -> Action:
            return lambda context: _told(folders.purge(folder, kind))

        steps = [Step("host", "Take the platform off the host", take_off, fix="run scripts/down again: it goes on")]
        if arguments.purge:
            steps.append(Step("data", "Delete the data", delete(paths.state, folders.STATE), ("host",)))
            if not arguments.keep_cache:
                steps.append(Step("caches", "Delete the caches", delete(paths.cache, folders.CACHE), ("data",)))
        runner.run(steps)
        if arguments.purge:
            stack_file = ROOT / "clusters" / f"Pulumi.{cluster.name}.yaml"
            if stack_file.is_symlink():
                stack_file.unlink()
        if not keeps_logs:
            shutil.rmtree(logs, ignore_errors=True)
    if not arguments.purge:
        runner.console.print(f"The data stays in {paths.state}; scripts/up restores the same deployments.")
    return 0


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
        "Take the platform off this host: processes, mounts, addresses, firewall rules. Its data stays, and the next\n"
        "scripts/up restores the same deployments.",
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
