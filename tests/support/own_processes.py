"""The running platform's processes, for tests that kill them: never another program of the same name on this host."""

from collections.abc import Iterable
from pathlib import Path

import ansible.module_utils

from settings import ROOT

RUN = Path("/run/ml-platform")
_OURS = str(ROOT / "infra" / "ansible" / "module_utils")


def pids(name: str, places: Iterable[Path]) -> set[int]:
    """Processes whose program is `name` and that are the platform's services or were started by one of them.

    `places`: where the platform's files and sockets are.
    """
    if _OURS not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(_OURS)
    from ansible.module_utils.processes import owned, process_table  # noqa: PLC0415 - it lies on the path just set

    table = process_table()
    ours = owned(table, [str(place) for place in places], pods=False)
    names = {name, f"docker-{name}"}
    return {pid for pid in ours if any(Path(word).name in names for word in table[pid].arguments[:1])}
