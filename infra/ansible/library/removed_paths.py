#!/usr/bin/python
"""Remove files and directories that the platform made, and nothing that is someone else's."""

import os
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: removed_paths
short_description: Remove what the platform made
options:
  paths: {type: list, elements: path, description: Removed with all that is in them. A link goes, not its target.}
  when_empty: {type: list, elements: path, description: Removed only where they hold nothing but empty directories.}
"""


def holds_nothing(path: Path) -> bool:
    """Whether a directory has only directories in it, however deep."""
    return path.is_dir() and not path.is_symlink() and not any(files for _, _, files in os.walk(path))


def remove(path: Path) -> None:
    """Remove a file, a link or a whole directory; raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "default": []},
            "when_empty": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    going = [Path(path) for path in given["paths"] if os.path.lexists(path)]
    going += [path for text in given["when_empty"] if holds_nothing(path := Path(text))]
    try:
        for path in going:
            if not module.check_mode:
                remove(path)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: cannot be removed: {error.strerror}")
    module.exit_json(changed=bool(going), removed=[str(path) for path in going])


if __name__ == "__main__":
    main()
