#!/usr/bin/python
"""Keep directories and rendered files in one go: a role's whole set costs one start of a module, not two a file."""

import grp
import os
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically

DOCUMENTATION = r"""
module: host_files
short_description: Keep directories and rendered files
description: Returns under `paths` what was changed, so that a service restarts only for a file that it reads.
options:
  owner: {type: str, description: The user and group of everything listed here unless an entry says otherwise.}
  directories: {type: list, elements: dict, description: "Each with path and mode, parents first."}
  files: {type: list, elements: dict, description: "Each with path, mode, content; owner and group where they differ."}
"""
OWNER = {"owner": {"type": "str"}, "group": {"type": "str"}, "mode": {"type": "str", "required": True}}


def ownership(entry: dict[str, Any], default: str) -> tuple[int, int]:
    """The numeric user and group of an entry."""
    user = pwd.getpwnam(entry["owner"] or default)
    return user.pw_uid, grp.getgrnam(entry["group"]).gr_gid if entry["group"] else user.pw_gid


def fits(path: Path, mode: int, owner: tuple[int, int]) -> bool:
    status = path.stat()
    return status.st_mode & 0o7777 == mode and (status.st_uid, status.st_gid) == owner


def keep(path: Path, content: str | None, mode: int, owner: tuple[int, int], dry_run: bool) -> bool:
    """Keep a file (a directory where `content` is None). Returns whether it had to be changed. Raises OSError."""
    right = path.is_dir() if content is None else path.is_file() and path.read_bytes() == content.encode()
    if right and fits(path, mode, owner):
        return False
    if dry_run:
        return True
    if content is None:
        path.mkdir(exist_ok=True)
    elif not right:
        # Never readable by more than intended, not even for the moment before the owner is set.
        write_atomically(path, content, mode & 0o700)
    os.chown(path, *owner)
    path.chmod(mode)
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "owner": {"type": "str", "default": "root"},
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"path": {"type": "path", "required": True}, **OWNER},
            },
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    # A file may hold a secret, and modules log their arguments.
                    "content": {"type": "str", "required": True, "no_log": True},
                    **OWNER,
                },
            },
        },
        supports_check_mode=True,
    )
    paths = []
    for entry in module.params["directories"] + module.params["files"]:
        try:
            owner = ownership(entry, module.params["owner"])
            if keep(Path(entry["path"]), entry.get("content"), int(entry["mode"], 8), owner, module.check_mode):
                paths.append(entry["path"])
        except KeyError as error:
            if not module.check_mode:
                module.fail_json(msg=f"{entry['path']}: no such account: {error}")
            paths.append(entry["path"])
        except OSError as error:
            module.fail_json(msg=f"{entry['path']}: {error.strerror}")
    module.exit_json(changed=bool(paths), paths=paths)


if __name__ == "__main__":
    main()
