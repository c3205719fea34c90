"""Job `prune`, on main: remove from the data bucket what nobody names any more and is old, or too much.

Nobody means: no commit that leads to main, to the head of an open pull request or to a tag. `dvc gc` would not do: it
knows no pull requests, it needs their branches' configuration, and what it deletes it does not look at again.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ci import environment, git, named, remote
from ci.evidence import FOLDER, MAIN
from ci.failure import Failure, run
from ci.store import Store
from ci.tree import CommitTree, Tree
from forge import Forge
from mlplatform.objects import prune
from mlplatform.objects.prune import Due, Version
from mlplatform.objects.verify import FOLDER as LISTING
from mlplatform.objects.verify import digest, key
from mlplatform.retention import DAY, GIB, Limit

# What runs leave for the report, by the run or the commit that left it; another run makes it again.
LEFT = ("runs/", "previews/")
# As much as one run may leave, of all that belong to no open pull request.
LEFT_LIMIT = Limit(14 * DAY, 5 * GIB)
# Of each remote. Who pushes data has a week to open the pull request that names them, however much they are. What is
# hidden for its size can be had again for as long as what is hidden for its age.
OBJECT_LIMIT = Limit(30 * DAY, 10 * GIB, least=7 * DAY)
_MAIN, _PULLS = "refs/prune/main", "refs/prune/pulls"
_OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must stay: objects by MD5 (with `.dir` for a folder), as far as they are there, and runs by id or commit.

    Args:
        objects: what main and the tags name.
        proposed: what else each open pull request names, by its number.
        runs: what the open pull requests' runs left.
    """

    objects: frozenset[str]
    proposed: Mapping[int, frozenset[str]]
    runs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix of the bucket, and all that lies below it."""

    prefix: str
    versions: list[Version]


def object_of(place: str, prefix: str) -> str | None:
    """The MD5 of the object of DVC's at a key, `None` where it is none."""
    found = _OBJECT.fullmatch(place.removeprefix(prefix))
    return found[1] + found[2] if found else None


def run_of(place: str) -> str:
    """The run or commit that left an object at a key: `runs/<run>/...`, `runs/<run>.tar`, `previews/<run>.json`."""
    return re.split(r"[/.]", place.partition("/")[2], maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Listed:
    """The files in folders by MD5, and where a listing lies of which no version is whole, by the folder's MD5."""

    files: frozenset[str]
    damaged: Mapping[str, str]


def wanted(repository: git.Repository, source: git.Remote, forge: Forge, there: Collection[str]) -> Wanted:
    """What main, the open pull requests and the tags name.

    Args:
        there: the MD5s of all objects that there are. Anybody may name any number of others.

    Raises:
        Failure, ForgeError
    """
    pulls = forge.pull_requests()
    heads = {pull.number: f"{_PULLS}/{pull.number}" for pull in pulls}
    fetched = [f"+refs/pull/{number}/head:{ref}" for number, ref in heads.items()]
    # What anybody pushed is only searched, so it may be as odd as the forge takes it.
    refs = f"+refs/heads/{MAIN}:{_MAIN}", "+refs/tags/*:refs/tags/*"
    repository.fetch(source, *refs, *fetched, well_formed=False)
    objects = named.objects(repository, [_MAIN, "--tags"], there)
    if there and not objects:
        raise Failure(f"no commit of {MAIN} names any object of DVC's that is there: is {FOLDER}/ still there?")
    known = "--not", _MAIN, "--tags"
    proposed = {number: named.objects(repository, [ref, *known], there) - objects for number, ref in heads.items()}
    own = repository.git("rev-list", *heads.values(), f"^{_MAIN}", "--") if heads else b""
    runs = {str(one.id) for pull in pulls for one in forge.workflow_runs(pull.head_sha)}
    return Wanted(objects, proposed, frozenset({*runs, *own.decode().split(), *(pull.head_sha for pull in pulls)}))


def in_folders(
    client: Any, bucket: str, places: Iterable[Place], names: Collection[str], there: Collection[str]
) -> Listed:
    """The files in the folders among `names`, as any whole version of a folder's listing says, wherever it lies.

    Where there is a listing and no version of it is whole, the files that any version names.
    """
    by_name: dict[str, list[Version]] = {}
    for place in places:
        for version in place.versions:
            if (md5 := object_of(version.key, place.prefix)) and md5.endswith(LISTING) and md5 in names:
                by_name.setdefault(md5, []).append(version)
    files, damaged = set[str](), dict[str, str]()
    for md5, versions in by_name.items():
        listed = set[str]()
        for content in prune.contents(client, bucket, versions):
            search = named.Search(named.OBJECT, there)
            if digest(content, search) == md5.removesuffix(LISTING):
                listed = search.found
                break
            listed |= search.found
        else:
            damaged[md5] = versions[0].key
        files |= listed
    return Listed(frozenset(files), damaged)


def places(store: Store, tree: Tree) -> tuple[list[Version], list[Place]]:
    """All that runs left, and DVC's remotes, each with all that lies there now. Raises `DocumentError`."""
    known = remote.locations(tree, FOLDER).values()
    remotes = sorted({f"{key(prefix, '')}/" for bucket, prefix in known if bucket == store.bucket})

    def seen(prefix: str) -> list[Version]:
        return prune.versions(store.client, store.bucket, prefix)

    return [one for prefix in LEFT for one in seen(prefix)], [Place(prefix, seen(prefix)) for prefix in remotes]


def tidy(repository: git.Repository, source: git.Remote, forge: Forge, store: Store, now: datetime) -> None:
    """Remove what may go; nothing does where what main and the tags want cannot all be found out.

    Whoever may open a pull request may not keep everything from going: of a damaged listing that only such a one names,
    the files stay that it still tells of, and the failure comes when all else is done.

    Raises:
        Failure, ForgeError
    """
    commit = repository.commit("HEAD")
    assert commit is not None
    try:
        # First: what is named from here on is there already, or is too young to go.
        left, remotes = places(store, CommitTree(repository, commit))
        keys = ((version.key, place.prefix) for place in remotes for version in place.versions)
        there = {md5 for found, prefix in keys if (md5 := object_of(found, prefix))}
        stays = wanted(repository, source, forge, there)
        own = in_folders(store.client, store.bucket, remotes, stays.objects, there)
        for where in own.damaged.values():
            raise Failure(f"{where} is no whole listing of a folder, so nothing is removed: {remote.REPAIR}")
        proposed = frozenset().union(*stays.proposed.values())
        others = in_folders(store.client, store.bucket, remotes, proposed, there)
        objects = stays.objects | own.files | proposed | others.files
        due = prune.left_due(left, lambda key: run_of(key) in stays.runs, LEFT_LIMIT, now)
        _carry_out(store, " and ".join(LEFT), due)
        for place in remotes:
            named_here = {one.key for one in place.versions if _stays(one.key, place.prefix, objects)}
            _carry_out(store, place.prefix, prune.due(place.versions, named_here.__contains__, OBJECT_LIMIT, now))
    except (BotoCoreError, ClientError) as error:
        advice = "scripts/status tells whether the object store is up; scripts/up makes the account that deletes"
        raise Failure(f"s3://{store.bucket}: {error}: {advice}") from None
    if others.damaged:
        raise Failure("all else was looked at, but " + "; ".join(_told(others.damaged, stays.proposed)))


def _told(damaged: Mapping[str, str], proposed: Mapping[int, frozenset[str]]) -> Iterator[str]:
    """A sentence about each damaged listing."""
    for md5, where in damaged.items():
        pulls = ", ".join(f"#{number}" for number, names in proposed.items() if md5 in names)
        fix = "close it, unless whoever still has the whole listing puts it there"
        yield f"{where}, which {pulls} names, is no whole listing of a folder, so not all of its files stay: {fix}"


def _stays(place: str, prefix: str, objects: Collection[str]) -> bool:
    """Whether what lies at a key is named, or no object of DVC's and so nobody's to remove."""
    md5 = object_of(place, prefix)
    return md5 is None or md5 in objects


def _carry_out(store: Store, where: str, due: Due) -> None:
    prune.carry_out(store.client, store.bucket, due)
    counts = f"{len(due.hidden)} objects deleted, {len(due.removed)} old versions removed for good"
    freed = sum(one.size for one in due.removed) / 2**20
    print(f"s3://{store.bucket}/{where}: {counts} ({freed:.1f} MiB)")
    for name in (*due.hidden, *(one.key for one in due.removed if one.latest and not one.marker)):
        print(f"  deleted {name}")


def main() -> None:
    if not os.environ.get("OBJECT_STORE_ENDPOINT"):
        print("no job may delete in this bucket, which is not the platform's own store: nothing to do")
        return
    place, token = environment.Place.from_variables(), environment.token()
    store = Store.connect(environment.require("DATA_BUCKET"))
    client = place.connect(token)
    try:
        source = git.Remote(place.clone_url, token)
        tidy(git.Repository(environment.ROOT), source, client, store, datetime.now(UTC))
    finally:
        client.close()


if __name__ == "__main__":
    run(main)
