"""Environments of jobs, by a Python that needs no packages:

find LOCK     print the folder of a lock's environment, which is made where it is missing
make ROOT     make what is missing in the base layer of those locks that there are: main may be older than this program
check ROOT    first hold the base layer against its manifests, and remove what differs or was named by no lock for long;
              then make what is missing, that of the repository's own checks included
tools [UID:GID]
              have the programs in the base layer that standard input names, a JSON object of their places and files;
              root does it as the account to which the layer belongs
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlplatform.base_layer import environments
from mlplatform.base_layer.environments import CHECKS, GROUPS, Place
from mlplatform.base_layer.folders import BaseLayerError, say


def main(arguments: Sequence[str], cache: Path) -> int:
    """The command; its exit status."""
    place = Place(cache)
    match arguments:
        case ["find", lock]:
            print(place.environment(Path(lock)))
        case ["check", _] if not place.has_base:
            say("this runner has no base layer: nothing to do")
        case [("make" | "check") as verb, root]:
            if not place.may_write:
                raise BaseLayerError(
                    f"{cache / 'base'} cannot be written: only jobs that main defines may change the base layer; for "
                    "one of those, scripts/up on the runner's host sets this right"
                )
            if verb == "make":
                locks = environments.present(Path(root), GROUPS)
            else:
                locks = environments.locks(Path(root), (*GROUPS, *CHECKS))
                _check_tools(place)
                for name, problems in place.base.check().items():
                    say(f"removed the environment {name}, which is not as it was made: {'; '.join(problems)}")
                for name in place.base.forget_locks(locks):
                    say(f"removed the environment {name}, which no lock of this checkout has named for two weeks")
            place.base.make(locks)
            say(f"the base layer has the environments of {', '.join(lock.stem for lock in locks)}")
        case ["tools", *account] if len(account) <= 1:
            for one in account:
                _become(one)
            say(f"the base layer has the tools of checks: {place.tools.take(json.load(sys.stdin))}")
        case _:
            raise BaseLayerError("usage: mlplatform.base_layer find LOCK | make ROOT | check ROOT | tools [UID:GID]")
    return 0


def _become(account: str) -> None:
    """Keep no more rights than an account has. All code is loaded by then: it may lie where only root can read."""
    uid, _, gid = account.partition(":")
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))


def _check_tools(place: Place) -> None:
    for name, problems in place.tools.check().items():
        say(f"removed the tools {name}, which are not as they were copied: {'; '.join(problems)}: run scripts/up")
    for name in place.tools.forget(place.tools.names()[:1]):
        say(f"removed the tools {name}, which newer ones replaced two weeks ago")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], Path(os.environ.get("CACHE_DIR") or "/cache")))
    except (BaseLayerError, OSError) as error:
        say(f"error: {error}")
        sys.exit(2)
