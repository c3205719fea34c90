#!/usr/bin/python
"""Keep directories and rendered files in one go: a role's whole set costs one start of a module, not two a file."""

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import open_file, open_folder, write_atomically

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
    """The numeric user and group of an entry; a number stands for itself and needs no account."""
    name = entry["owner"] or default
    if name.isdigit():
        user, group = int(name), int(name)
    else:
        account = pwd.getpwnam(name)
        user, group = account.pw_uid, account.pw_gid
    return user, grp.getgrnam(entry["group"]).gr_gid if entry["group"] else group


def keep(path: Path, content: str | None, mode: int, owner: tuple[int, int], dry_run: bool) -> bool:
    """Keep a file (a directory where `content` is None). Returns whether it had to be changed. Raises OSError."""
    if content is not None:
        return _keep_file(path, content, mode, owner, dry_run)
    try:
        descriptor = open_folder(path)
    except FileNotFoundError:
        if dry_run:
            return True
        parent = open_folder(path.parent)
        try:
            os.mkdir(path.name, 0o700, dir_fd=parent)
        finally:
            os.close(parent)
        descriptor = open_folder(path)
        _give(descriptor, mode, owner, dry_run)
        return True
    return _give(descriptor, mode, owner, dry_run)


def _keep_file(path: Path, content: str, mode: int, owner: tuple[int, int], dry_run: bool) -> bool:
    descriptor = open_file(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "rb") as handle:
            # A file with a second name may be somebody else's, whatever it says: it gets no owner, but a successor.
            right = os.fstat(descriptor).st_nlink == 1 and handle.read() == content.encode()
        if right:
            return _give(descriptor, mode, owner, dry_run)
        os.close(descriptor)
    if not dry_run:
        write_atomically(path, content, mode, owner)
    return True


def _give(descriptor: int, mode: int, owner: tuple[int, int], dry_run: bool) -> bool:
    """Set owner and mode of what is open, and close it. Returns whether they were others."""
    try:
        status = os.fstat(descriptor)
        fits = stat.S_IMODE(status.st_mode) == mode and (status.st_uid, status.st_gid) == owner
        if not fits and not dry_run:
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
        return not fits
    finally:
        os.close(descriptor)


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
