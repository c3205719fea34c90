"""`python -m images build|list|pin`: see `--help`."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from images.catalog import DIGESTS, Image, images, pinned_digests
from images.errors import ImageError
from images.inputs import tool
from images.registry import Registry
from images.store import Outcome, Store
from images.upstream import current_digest
from settings import Paths, SettingsError, load_local

# Whose digests Pulumi hands to Argo CD, besides those of our own images.
RECORDED = ("python",)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _stop(signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(signum)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; 0 done, 2 where something is wrong that a message explains, 130 interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        match options.command:
            case "list":
                _list(options.json)
            case "pin":
                _pin(options.only)
            case _:
                _build(options)
    except (ImageError, SettingsError) as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        _say("images: interrupted; the next run goes on from here")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m images", description=__import__("images").__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="bring the images into the cluster's registry")
    build.add_argument("--cluster", default="local", help="whose registry (default: %(default)s)")
    build.add_argument("--only", nargs="+", metavar="NAME", choices=_names(), help=f"of: {', '.join(_names())}")
    build.add_argument("--refresh", action="store_true", help="make them again, for newer Debian packages")
    build.add_argument("--no-push", action="store_true", help="fill the cache only, before there is a registry")
    listing = commands.add_parser("list", help="print the upstream references")
    listing.add_argument("--json", action="store_true", help="as an object by name")
    pin = commands.add_parser("pin", help="write the digests that upstream's tags have now to digests.json")
    pin.add_argument("--only", nargs="+", metavar="NAME", choices=_names(), help="pin these only")
    return parser


def _names() -> list[str]:
    return [image.name for image in _pushed()]


def _pushed() -> list[Image]:
    return [image for image in images().values() if image.pushed]


def _list(as_json: bool) -> None:
    references = {image.name: image.upstream for image in _pushed()}
    print(json.dumps(references) if as_json else "\n".join(references.values()))


def _pin(only: Sequence[str] | None) -> None:
    crane = tool("crane", Paths.from_environment())
    upstreams = [image for image in _pushed() if image.registry]
    known = pinned_digests()
    digests = {image.upstream: known[image.upstream] for image in upstreams if image.upstream in known}
    for image in upstreams:
        if not only or image.name in only:
            digests[image.upstream] = current_digest(image, crane)
            _say(f"{image.upstream}@{digests[image.upstream]}")
    DIGESTS.write_text(json.dumps(digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _build(options: argparse.Namespace) -> None:
    cluster = load_local(options.cluster)
    paths = Paths.from_environment()
    registry = None
    if not options.no_push:
        registry = Registry(cluster.registry.host, paths.secret("registry-password"), tool("crane", paths))
    with Store.opened(paths, _say, options.refresh) as store:
        outcomes = store.bring(options.only or _names(), registry)
    recorded = bool(registry) and _record(paths.state / "images.json", outcomes)
    print(json.dumps({"changed": recorded or any(outcome.changed for outcome in outcomes)}))


def _record(path: Path, outcomes: Sequence[Outcome]) -> bool:
    """Keep the digests that others deploy by; whether the file changed."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    digests = {outcome.name: outcome.digest for outcome in outcomes if _is_recorded(outcome.name)}
    if known | digests == known:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(known | digests, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(path)
    return True


def _is_recorded(name: str) -> bool:
    return name in RECORDED or not images()[name].registry


if __name__ == "__main__":
    sys.exit(main())
