#!/usr/bin/python
"""Generate secrets once, one raw value a file, readable by root only."""

import secrets
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically

DOCUMENTATION = r"""
module: generated_secrets
short_description: Generate secrets that do not exist yet
options:
  directory: {type: path, required: true}
  names: {type: list, elements: str, required: true}
"""
# 32 bytes in URL-safe base64: what Gitea's signing key must be, and strong enough for all the others.
BYTES = 32


def generate() -> str:
    """A secret that no program takes for an option: it never starts with a hyphen."""
    while (value := secrets.token_urlsafe(BYTES)).startswith("-"):
        pass
    return value


def missing(directory: Path, names: list[str]) -> list[str]:
    """The names without a value. An empty file is what a power cut leaves, so it counts as missing."""
    return [name for name in names if not (directory / name).is_file() or not (directory / name).stat().st_size]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    directory = Path(module.params["directory"])
    names = missing(directory, module.params["names"])
    loose = [
        file
        for name in module.params["names"]
        if (file := directory / name).is_file() and file.stat().st_mode & 0o777 != 0o600
    ]
    if not module.check_mode:
        for name in names:
            write_atomically(directory / name, generate())
        for file in loose:
            file.chmod(0o600)
    module.exit_json(changed=bool(names or loose), generated=names)


if __name__ == "__main__":
    main()
