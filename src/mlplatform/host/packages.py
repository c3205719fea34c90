"""Whether the distribution has newer versions of the packages that hold containers apart from the host."""

import re

# The wall between a job and the node. They are installed once, so only an upgrade mends what is found in them.
WALL = ("containerd", "runc")


def newer(policy: str) -> dict[str, tuple[str, str]]:
    """Installed and newest version of each package of which apt's lists have a newer one.

    `policy` is what `apt-cache policy` prints in English; it reads the lists on disk and asks no network.
    """
    entry = re.compile(r"^(\S+):\n +Installed: (\S+)\n +Candidate: (\S+)$", re.MULTILINE)
    found = entry.findall(policy)
    return {name: (there, best) for name, there, best in found if "(none)" not in {there, best} and there != best}
