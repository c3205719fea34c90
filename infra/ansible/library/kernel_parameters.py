#!/usr/bin/python
"""Set kernel parameters for as long as the machine runs; nothing is written under /etc."""

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: kernel_parameters
short_description: Set kernel parameters at run time
options:
  values: {type: dict, required: true}
  at_least: {type: dict, description: Raised to the value when lower, otherwise left alone.}
  record: {type: path, description: "The host's record; what it lacks is refused, for it could not be put back."}
"""
SYSCTL = Path("/proc/sys")


def wanted(current: str, value: str, at_least: bool) -> str:
    """The value a parameter should have."""
    return current if at_least and int(current) >= int(value) else value


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "values": {"type": "dict", "required": True},
            "at_least": {"type": "dict", "default": {}},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    record = Path(module.params["record"]) if module.params["record"] else None
    recorded = json.loads(record.read_text())["kernel_parameters"] if record and record.exists() else None
    changed = []
    for values, at_least in ((module.params["values"], False), (module.params["at_least"], True)):
        for name, value in values.items():
            file = SYSCTL / name.replace(".", "/")
            if not file.exists():
                continue
            current = file.read_text().strip()
            target = wanted(current, str(value), at_least)
            if current == target:
                continue
            if recorded is not None and name not in recorded:
                module.fail_json(
                    msg=f"kernel parameter {name}: its present value is not in {record}; add it to the role preflight."
                )
            changed.append(name)
            if not module.check_mode:
                try:
                    file.write_text(target + "\n")
                except OSError as error:
                    module.fail_json(msg=f"kernel parameter {name}: cannot be set to {target}: {error.strerror}")
    module.exit_json(changed=bool(changed), parameters=changed)


if __name__ == "__main__":
    main()
