#!/usr/bin/python
"""Take the repository from everybody who is not listed."""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rest import Api, basic

DOCUMENTATION = r"""
module: forge_collaborators
short_description: Take tokens and access from those who are not listed
options:
  url: {type: str, required: true, description: The forge's API, up to /api/v1.}
  username: {type: str, required: true, description: An administrator.}
  password: {type: str, required: true}
  repository: {type: str, required: true, description: owner/name}
  accounts: {type: list, elements: str, required: true, description: Who keeps what they have.}
"""

PAGE_SIZE = 50


class ForgeError(Exception):
    """An answer of the forge that nobody expects."""


class Forge:
    """The forge as its administrator sees it. Methods raise ForgeError and OSError."""

    def __init__(self, api: Api, repository: str) -> None:
        self.api = api
        self.repository = f"repos/{repository}"

    def ask(self, method: str, path: str, expected: tuple[int, ...] = (200,)) -> Any:
        status, answer = self.api.ask(method, path)
        if status not in expected:
            raise ForgeError(f"{method} {self.api.url}/{path}: {status} {answer}")
        return answer

    def all(self, path: str) -> list[dict[str, Any]]:
        """A whole list."""
        found: list[dict[str, Any]] = []
        page = 0
        while len(found) == page * PAGE_SIZE:
            page += 1
            found += self.ask("GET", f"{path}?limit={PAGE_SIZE}&page={page}") or []
        return found

    def strangers(self, accounts: list[str]) -> list[str]:
        """Who may use the repository and is not listed. Names that differ in case are one."""
        known = {name.casefold() for name in accounts}
        names = [str(entry["login"]) for entry in self.all(f"{self.repository}/collaborators")]
        return sorted(name for name in names if name.casefold() not in known)

    def remove(self, name: str) -> None:
        """Take an account's tokens, then its access, so that one who still has it is found again after a break."""
        for token in self.all(f"users/{name}/tokens"):
            self.ask("DELETE", f"users/{name}/tokens/{token['id']}", (204, 404))
        self.ask("DELETE", f"{self.repository}/collaborators/{name}", (204, 404))


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "url": text,
            "username": text,
            "password": text | {"no_log": True},
            "repository": text,
            "accounts": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    forge = Forge(Api(given["url"], basic(given["username"], given["password"])), given["repository"])
    try:
        removed = forge.strangers(given["accounts"])
        for name in removed if not module.check_mode else []:
            forge.remove(name)
    except (ForgeError, OSError) as error:
        module.fail_json(msg=f"forge: {error}")
    module.exit_json(changed=bool(removed), removed=removed)


if __name__ == "__main__":
    main()
