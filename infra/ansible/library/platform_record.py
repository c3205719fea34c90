#!/usr/bin/python
"""Read what `host_record` wrote down, so that a host can be put back to what it was."""

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: platform_record
short_description: Read the host's record; refuse where it is another state directory's
description: Returns whether there is one as `known`; without it nothing shows that the host's pods are the platform's.
options:
  path: {type: path, required: true}
  state_dir: {type: path, required: true}
"""
# Where programs keep files of their own that a folder of the user's might be named like: only ours are removed.
KUBERNETES = Path("/etc/kubernetes")


def removable(record: dict[str, Any], kubernetes: Path, state_dir: str) -> list[str]:
    """Paths outside the state directory that exist because of the platform."""
    files = [path for path in record.get("created", []) if os.path.lexists(path)]
    if kubernetes.is_symlink() and str(kubernetes.readlink()) == f"{state_dir}/kubernetes":
        files.append(str(kubernetes))
    return files


def main() -> None:
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "state_dir": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    path, state_dir = Path(module.params["path"]), module.params["state_dir"]
    if os.geteuid() != 0:
        module.fail_json(msg="user: root is needed to take the platform off a host. Run the script as root (sudo).")
    try:
        record = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:
        record = {}
    other = record.get("state_dir", state_dir)
    if other != state_dir:
        module.fail_json(
            msg=f"{path}: this host carries the platform whose state is in {other}, not in {state_dir}; "
            f"nothing was changed. Run: ML_PLATFORM_STATE_DIR={other} scripts/down"
        )
    module.exit_json(
        changed=False,
        known=bool(record),
        manager="systemd" if Path("/run/systemd/system").is_dir() else "supervisor",
        kernel_parameters=record.get("kernel_parameters", {}),
        files=removable(record, KUBERNETES, state_dir),
    )


if __name__ == "__main__":
    main()
