"""Environments of jobs, by a Python that needs no packages:

find LOCK     print the folder of a lock's environment, which is made where it is missing
make ROOT     make what is missing in the base layer of the locks in a checkout
check ROOT    first hold the base layer against its manifests, and remove what differs or was named by no lock for long
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mlplatform.base_layer import environments
from mlplatform.base_layer.environments import BaseLayerError, Place, say


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
            locks = environments.locks(Path(root))
            if verb == "check":
                for name, problems in place.base.check().items():
                    say(f"removed the environment {name}, which is not as it was made: {'; '.join(problems)}")
                for name in place.base.forget(locks):
                    say(f"removed the environment {name}, which no lock of this checkout has named for two weeks")
            place.base.make(locks)
            say("the base layer has the environments of all groups")
        case _:
            raise BaseLayerError("usage: mlplatform.base_layer find LOCK | make ROOT | check ROOT")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], Path(os.environ.get("CACHE_DIR") or "/cache")))
    except (BaseLayerError, OSError) as error:
        say(f"error: {error}")
        sys.exit(2)
