#!/usr/bin/python
"""Unmount everything that is mounted below given directories; the directories themselves may be mounts and stay."""

import os
import re
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: detached_mounts
short_description: Unmount everything below given directories
options:
  paths: {type: list, elements: path, required: true}
"""


def mounts_below(table: str, paths: list[str]) -> list[str]:
    """Mount points of `table` (text of /proc/self/mountinfo) below `paths`, innermost first.

    Neither `paths` themselves nor a whole disk that somebody mounted below them: these hold data.
    """
    roots = tuple(os.path.realpath(path) + "/" for path in paths)
    found = []
    for line in table.splitlines():
        fields, _, kind = line.partition(" - ")
        root, mount = fields.split()[3:5]
        # The kernel writes space, tab, newline and backslash in octal.
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), mount)
        whole_disk = root == "/" and kind.split()[1].startswith("/dev/")
        if point.startswith(roots) and not whole_disk:
            found.append(point)
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
    module.exit_json(changed=bool(found), count=len(found))


if __name__ == "__main__":
    main()
