#!/usr/bin/python
"""Remove the control groups that a kubelet made for its pods."""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: removed_control_groups
short_description: Remove the control groups of pods
options:
  names: {type: list, elements: str, required: true, description: Top-level groups, in every hierarchy.}
"""
ROOT = Path("/sys/fs/cgroup")


def groups(root: Path, names: list[str]) -> list[Path]:
    """Every group below the named ones, innermost first. `root` holds one hierarchy, or one folder for each."""
    tops = [top for name in names for top in (*root.glob(name), *root.glob(f"*/{name}")) if top.is_dir()]
    found = tops + [path for top in tops for path in top.rglob("*/") if path.is_dir()]
    return sorted(set(found), key=lambda path: len(path.parts), reverse=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={"names": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True
    )
    found = groups(ROOT, module.params["names"])
    tops = sorted(str(path) for path in found if path.name in module.params["names"])
    left = [] if module.check_mode else found
    for _ in range(20):
        remaining = []
        for path in left:
            try:
                path.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                remaining.append(path)
        if not remaining:
            break
        # A group is busy until the kernel has buried the last process in it.
        time.sleep(0.1)
        left = remaining
    else:
        module.fail_json(msg=f"control group {left[0]} still holds processes.")
    module.exit_json(changed=bool(found), removed=tops)


if __name__ == "__main__":
    main()
