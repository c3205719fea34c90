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
from cli.steps import Context, Runner, Step
from settings import ROOT, Paths


@dataclass(frozen=True)
class Loss:
    """Something that a purge deletes: where it is and its size in bytes."""

    name: str
    path: Path
    size: int


def losses(paths: Paths, keep_cache: bool) -> list[Loss]:
    """What `--purge` would delete, biggest parts named apart."""
    state = paths.state
    found = [
        *(
            Loss(f"bucket {folder.name}", folder, size(folder))
            for folder in _folders(state / "object-store" / "buckets")
        ),
        Loss("the forge: repository, pull requests, accounts", state / "gitea", size(state / "gitea")),
        Loss(f"registry: {_images(state / 'registry')}", state / "registry", size(state / "registry")),
        Loss("Pulumi's state", paths.pulumi, size(paths.pulumi)),
        Loss("generated secrets", paths.secrets, size(paths.secrets)),
    ]
    rest = size(state) - sum(one.size for one in found)
    found.append(Loss("the cluster and everything else in the state directory", state, rest))
    if not keep_cache:
        found += [Loss(f"cache: {folder.name}", folder, size(folder)) for folder in _folders(paths.cache)]
    return [one for one in found if one.path.exists()]


def size(path: Path) -> int:
    """Bytes that files under `path` occupy; a file with several links counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for file in _walk(path):
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
    for name, folders, files in os.walk(path):
        folder = Path(name)
        # What pods have mounted below the state directory is not its own.
        folders[:] = [one for one in folders if not (folder / one).is_mount()]
        yield from (folder / file for file in files)


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.glob("[!.]*") if one.is_dir())


def _images(registry: Path) -> str:
    repositories = registry / "data" / "docker" / "registry" / "v2" / "repositories"
    names = sorted(str(one.parent.relative_to(repositories)) for one in repositories.glob("**/_manifests"))
    return f"{len(names)} images" + (f" ({', '.join(names)})" if names else "")


def _confirm(lost: list[Loss], yes: bool) -> None:
    shown = console.err()
    shown.print("[bold]This will be lost:[/bold]")
    for one in lost:
        shown.print(f"  {human(one.size):>10}  {one.name} ({one.path})", markup=False)
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
            _confirm(losses(paths, arguments.keep_cache), arguments.yes)
        (paths.state / "up.json").unlink(missing_ok=True)
        # A purge deletes the state directory, its logs included.
        logs = Path(tempfile.mkdtemp(prefix="ml-platform-down-")) if arguments.purge else paths.state / "logs"
        runner = Runner(console.err(), logs, "down")

        def take_off(context: Context) -> str:
            return ansible.playbook(context, "down.yml", cluster.name, paths, purge=arguments.purge)

        steps = [Step("host", "Take the platform off the host", take_off, fix="run scripts/down again: it goes on")]
        if arguments.purge and not arguments.keep_cache:
            steps.append(Step("caches", "Delete the caches", lambda context: _delete(paths.cache), after=("host",)))
        runner.run(steps)
        if arguments.purge:
            (ROOT / "clusters" / f"Pulumi.{cluster.name}.yaml").unlink(missing_ok=True)
            shutil.rmtree(logs, ignore_errors=True)
    if not arguments.purge:
        runner.console.print(f"The data stays in {paths.state}; scripts/up restores the same deployments.")
    return 0


def _delete(path: Path) -> None:
    # Go's module cache is read-only on purpose, which stops nobody but rmtree under a plain user.
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Failure(f"{error.filename}: cannot be deleted ({error.strerror})", f"remove {path} by hand") from None


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
    parser.add_argument("--purge", action="store_true", help="delete data and caches too, after saying what is lost")
    parser.add_argument("--yes", action="store_true", help="do not ask before something is lost")
    parser.add_argument("--keep-cache", action="store_true", help="with --purge: keep tools, images and environments")
    return app.run(parser, _act)


if __name__ == "__main__":
    sys.exit(main())
