#!/usr/bin/python
"""Unmount everything that is mounted below given directories. A directory that is a disk's mount stays one."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: detached_mounts
short_description: Unmount everything below given directories
options:
  paths: {type: list, elements: path, required: true}
"""


class Mount(NamedTuple):
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    number: str
    parent: str
    device: str
    root: str
    point: str
    whole_disk: bool

    @classmethod
    def parse(cls, line: str) -> "Mount":
        fields, _, kind = line.partition(" - ")
        number, parent, device, root, point = (_unescaped(field) for field in fields.split()[:5])
        return cls(number, parent, device, root, point, root == "/" and kind.split()[1].startswith("/dev/"))

    def is_on_itself(self, parent: "Mount | None") -> bool:
        """Whether what is mounted is the very folder that it is mounted on."""
        if parent is None or parent.device != self.device:
            return False
        return Path(self.root) == Path(parent.root, os.path.relpath(self.point, parent.point))


def _unescaped(field: str) -> str:
    # The kernel writes space, tab, newline and backslash in octal.
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def mounts_below(table: str, paths: list[str]) -> list[str]:
    """Mount points of `table` (text of /proc/self/mountinfo) below `paths`, innermost first.

    Not a whole disk that somebody mounted there, nor a mount on one of `paths`: these hold data. A folder that is
    mounted on itself, as the kubelet does with its own to share it, holds none beside what lies in it anyway.
    """
    roots = {os.path.realpath(path) for path in paths}
    mounts = [Mount.parse(line) for line in table.splitlines()]
    by_number = {mount.number: mount for mount in mounts}
    found = []
    for mount in mounts:
        below = any(mount.point.startswith(f"{root}/") for root in roots) and not mount.whole_disk
        itself = mount.point in roots and mount.is_on_itself(by_number.get(mount.parent))
        if below or itself:
            found.append(mount.point)
    return found[::-1]


def main() -> None:
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "required": True}}, supports_check_mode=True
    )
    found = mounts_below(Path("/proc/self/mountinfo").read_text(), module.params["paths"])
    if found and not module.check_mode:
        for start in range(0, len(found), 200):
            batch = found[start : start + 200]
            # Lazy: a mount whose last process is still ending goes as soon as that process has gone.
            subprocess.run(["umount", "--lazy", "--no-mtab", *batch], capture_output=True, check=False)
        left = mounts_below(Path("/proc/self/mountinfo").read_text(), module.params["paths"])
        if left:
            module.fail_json(msg=f"cannot unmount {', '.join(left[:5])}; see which process uses them with fuser -m.")
    module.exit_json(changed=bool(found), mounts=found)


if __name__ == "__main__":
    main()
