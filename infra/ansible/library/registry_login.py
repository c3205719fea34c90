#!/usr/bin/python
"""Keep an htpasswd file that accepts exactly one user."""

import os
import pwd
from pathlib import Path

import bcrypt
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import open_file, write_atomically

DOCUMENTATION = r"""
module: registry_login
short_description: Keep an htpasswd file with one user
options:
  path: {type: path, required: true}
  user: {type: str, required: true}
  password: {type: str, required: true}
  owner: {type: str, required: true}
"""
# The lowest cost bcrypt has: the password is 256 random bits, which no one guesses, and it is checked on every request.
ROUNDS = 4


def accepts(text: str, user: str, password: str) -> bool:
    """Whether the file lets `user` in with `password`, and nobody else."""
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].startswith(f"{user}:"):
        return False
    try:
        return bcrypt.checkpw(password.encode(), lines[0].split(":", 1)[1].encode())
    except ValueError:
        return False


def read(path: Path) -> str:
    """What the file says, "" where there is none. Raises OSError for a link: the registry's account may write there."""
    descriptor = open_file(path)
    if descriptor is None:
        return ""
    with os.fdopen(descriptor) as handle:
        return handle.read()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "owner": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    path = Path(given["path"])
    try:
        changed = not accepts(read(path), given["user"], given["password"])
        if changed and not module.check_mode:
            hashed = bcrypt.hashpw(given["password"].encode(), bcrypt.gensalt(ROUNDS)).decode()
            account = pwd.getpwnam(given["owner"])
            write_atomically(path, f"{given['user']}:{hashed}\n", owner=(account.pw_uid, account.pw_gid))
    except OSError as error:
        module.fail_json(msg=f"{path}: {error.strerror}")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
