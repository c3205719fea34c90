#!/usr/bin/python
"""Write down what a host was like before the platform changed it, so that `down` can put it back."""

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically

DOCUMENTATION = r"""
module: host_record
short_description: Record whose platform a host carries and what the host was like before
options:
  path: {type: path, required: true}
  state_dir: {type: path, required: true}
  cluster: {type: str, required: true}
  side_effects: {type: list, elements: path, description: Paths that programs create on their own.}
  kernel_parameters: {type: list, elements: str, description: Names whose values will be changed.}
"""
SYSCTL = Path("/proc/sys")


def merged(
    old: dict[str, Any], state_dir: str, cluster: str, side_effects: list[str], values: dict[str, str]
) -> dict[str, Any]:
    """The record with what is new added; what was recorded first stays, for it alone is from before the change."""
    known = set(old.get("seen", []))
    created = [path for path in side_effects if path not in known and not os.path.lexists(path)]
    return {
        "state_dir": state_dir,
        "cluster": cluster,
        "seen": sorted(known | set(side_effects)),
        "created": sorted(set(old.get("created", [])) | set(created)),
        "kernel_parameters": values | old.get("kernel_parameters", {}),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state_dir": {"type": "path", "required": True},
            "cluster": {"type": "str", "required": True},
            "side_effects": {"type": "list", "elements": "path", "required": True},
            "kernel_parameters": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    path = Path(given["path"])
    old = json.loads(path.read_text()) if path.exists() else {}
    values = {}
    for name in given["kernel_parameters"]:
        file = SYSCTL / name.replace(".", "/")
        if file.exists():
            values[name] = file.read_text().strip()
    new = merged(old, given["state_dir"], given["cluster"], given["side_effects"], values)
    if new != old and not module.check_mode:
        write_atomically(path, json.dumps(new, indent=2) + "\n", 0o644)
    module.exit_json(changed=new != old, record=new)


if __name__ == "__main__":
    main()
