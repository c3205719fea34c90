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
  state_dir: {type: path, description: "The state directory, to be deleted; refused where it does not look like one."}
"""
# What every state directory has once it was set up, and what it may have before.
MARK = "secrets"
EARLY = {"logs", "supervisor", "host"}


def holds_nothing(path: Path) -> bool:
    """Whether a directory has only directories in it, however deep."""
    return path.is_dir() and not path.is_symlink() and not any(files for _, _, files in os.walk(path))


def is_state_directory(path: Path) -> bool:
    """Whether a directory is a platform's: a typing error must not delete a home directory."""
    names = {entry.name for entry in path.iterdir()}
    return MARK in names or names <= EARLY


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
            "state_dir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    going = [Path(path) for path in given["paths"] if os.path.lexists(path)]
    going += [path for text in given["when_empty"] if holds_nothing(path := Path(text))]
    if given["state_dir"] and os.path.lexists(given["state_dir"]):
        state = Path(given["state_dir"])
        if not state.is_dir() or not is_state_directory(state):
            module.fail_json(
                msg=f"{state}: does not look like the platform's state directory, so it was not deleted. "
                "Check ML_PLATFORM_STATE_DIR; delete the folder by hand if it is the right one."
            )
        going.append(state)
    try:
        for path in going:
            if not module.check_mode:
                remove(path)
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: cannot be removed: {error.strerror}")
    module.exit_json(changed=bool(going), removed=[str(path) for path in going])


if __name__ == "__main__":
    main()
