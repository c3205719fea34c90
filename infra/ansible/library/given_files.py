#!/usr/bin/python
"""Give a service's files, which were one account's, to another account, while the service is stopped."""

import os
import pwd
import signal
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import open_folder

DOCUMENTATION = r"""
module: given_files
short_description: Give a folder's files from one account to another
description:
  The folder itself changes last, so that a run that was interrupted is known and finished by the next. Links change,
  never what they lead to. What belongs to neither account stays as it is.
options:
  path: {type: path, required: true}
  former: {type: str, required: true, description: The account that has the files; nothing happens where there is none.}
  owner: {type: str, required: true, description: The account that gets them.}
"""
PROC = Path("/proc")
PASSES = 5
POLL_SECONDS = 0.1

Owner = tuple[int, int]


def give(path: Path, former: Owner, owner: Owner) -> int:
    """Give everything in a folder, the folder itself apart; returns how many entries changed. Raises OSError."""
    folder, changed = open_folder(path.parent), 0
    try:
        for _, folders, files, here in os.fwalk(path.name, topdown=False, onerror=_raise, dir_fd=folder):
            for name in (*folders, *files):
                try:
                    changed += _give_one(name, here, former, owner)
                except FileNotFoundError:
                    continue  # it went meanwhile
    finally:
        os.close(folder)
    return changed


def give_folder(path: Path, former: Owner, owner: Owner) -> None:
    """Give the folder itself. Raises OSError."""
    folder = open_folder(path.parent)
    try:
        _give_one(path.name, folder, former, owner)
    finally:
        os.close(folder)


def _give_one(name: str, folder: int, former: Owner, owner: Owner) -> bool:
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    user = owner[0] if status.st_uid == former[0] else -1
    group = owner[1] if status.st_gid == former[1] else -1
    if (user, group) == (-1, -1):
        return False
    os.chown(name, user, group, dir_fd=folder, follow_symlinks=False)
    return True


def _raise(error: OSError) -> None:
    raise error


def at_work(path: Path, user: int) -> list[int]:
    """Processes of an account that work in a folder: what a service had started and did not wait for."""
    root, found = os.path.realpath(path), []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            place = str((entry / "cwd").readlink())
            if entry.stat().st_uid == user and (place == root or place.startswith(f"{root}/")):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def end(path: Path, user: int, grace_seconds: float = 10.0) -> None:
    """End what still works in the folder: ask, wait, kill."""
    began = time.monotonic()
    while left := at_work(path, user):
        late = time.monotonic() - began
        if late > 2 * grace_seconds:
            raise OSError(0, f"processes {left} do not end", str(path))
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL if late > grace_seconds else signal.SIGTERM)
            except ProcessLookupError:
                continue
        time.sleep(POLL_SECONDS)


def account(name: str) -> Owner | None:
    """The user and group of an account, None where there is none."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return found.pw_uid, found.pw_gid


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "former": {"type": "str", "required": True},
            "owner": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"])
    former, owner = account(module.params["former"]), account(module.params["owner"])
    if former is None or not path.is_dir() or path.lstat().st_uid != former[0]:
        module.exit_json(changed=False)
        return
    if module.check_mode:
        module.exit_json(changed=True)
        return
    if owner is None:
        module.fail_json(msg=f"{module.params['owner']}: no such account")
        return
    try:
        for _ in range(PASSES):
            end(path, former[0])
            if not give(path, former, owner):
                break
        else:
            module.fail_json(msg=f"{path}: somebody goes on writing there as {module.params['former']}; run it again.")
        give_folder(path, former, owner)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror}")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
