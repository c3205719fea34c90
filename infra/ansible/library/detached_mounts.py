#!/usr/bin/python
"""Unmount everything that is mounted below given directories."""

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
    """Mount points of `table` (text of /proc/self/mountinfo) at or below `paths`, innermost first."""
    # The kernel writes space, tab, newline and backslash in octal.
    points = [
        re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4]) for line in table.splitlines()
    ]
    roots = [os.path.realpath(path) for path in paths]
    found = [point for point in points if any(point == root or point.startswith(root + "/") for root in roots)]
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
