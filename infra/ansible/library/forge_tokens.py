#!/usr/bin/python
"""Keep working access tokens of forge accounts in files."""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically
from ansible.module_utils.rest import Api, basic

DOCUMENTATION = r"""
module: forge_tokens
short_description: Keep working access tokens of forge accounts, and the token with which runners register
options:
  url: {type: str, required: true, description: The forge's API, up to /api/v1.}
  username: {type: str, required: true, description: An administrator.}
  password: {type: str, required: true}
  repository: {type: str, required: true, description: What each token must be able to read, owner/name.}
  name: {type: str, required: true, description: What the tokens are called.}
  tokens: {type: list, elements: dict, required: true, description: "Each with account, scopes and path."}
  runner_token: {type: path, required: true}
"""


def up_to_date(listed: list[dict[str, Any]], name: str, token: str, scopes: list[str]) -> bool:
    """Whether the forge lists `token` under `name` with exactly `scopes`."""
    return any(
        entry["name"] == name and token.endswith(entry["token_last_eight"]) and set(entry["scopes"]) == set(scopes)
        for entry in listed
    )


class ForgeError(Exception):
    """An answer of the forge that nobody expects."""


class Forge:
    """The forge as its administrator sees it. Methods raise ForgeError for answers that nobody expects."""

    def __init__(self, url: str, username: str, password: str, dry_run: bool) -> None:
        self.api, self.dry_run = Api(url, basic(username, password)), dry_run

    def ask(self, path: str, method: str = "GET", body: Any = None, expected: int = 200) -> Any:
        status, answer = self.api.ask(method, path, body)
        if status != expected:
            raise ForgeError(f"{method} {self.api.url}/{path}: {status} {answer}")
        return answer

    def keep_token(self, path: Path, account: str, name: str, scopes: list[str], repository: str) -> bool:
        """Have a token in `path` that works, with exactly `scopes`. Returns whether a new one was needed."""
        token = path.read_text().strip() if path.exists() else ""
        listed = self.ask(f"users/{account}/tokens")
        holder = Api(self.api.url, f"token {token}")
        listed_well = bool(token) and up_to_date(listed, name, token, scopes)
        if listed_well and holder.ask("GET", f"repos/{repository}")[0] == 200:
            return False
        if not self.dry_run:
            for entry in listed:
                if entry["name"] == name:
                    self.ask(f"users/{account}/tokens/{entry['id']}", "DELETE", expected=204)
            made = self.ask(f"users/{account}/tokens", "POST", {"name": name, "scopes": scopes}, expected=201)
            write_atomically(path, made["sha1"])
        return True

    def keep_runner_token(self, path: Path, repository: str) -> bool:
        """Have the repository's registration token in `path`. The forge makes it once and hands out the same again."""
        token = self.ask(f"repos/{repository}/actions/runners/registration-token", "POST")["token"]
        if path.exists() and path.read_text() == token:
            return False
        if not self.dry_run:
            write_atomically(path, token)
        return True


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "url": text,
            "username": text,
            "password": text | {"no_log": True},
            "repository": text,
            "name": text,
            "tokens": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "no_log": False,
                "options": {
                    "account": text,
                    "scopes": {"type": "list", "elements": "str", "required": True},
                    "path": {"type": "path", "required": True},
                },
            },
            "runner_token": {"type": "path", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    given = module.params
    forge = Forge(given["url"], given["username"], given["password"], module.check_mode)
    try:
        renewed = [
            entry["account"]
            for entry in given["tokens"]
            if forge.keep_token(
                Path(entry["path"]), entry["account"], given["name"], entry["scopes"], given["repository"]
            )
        ]
        if forge.keep_runner_token(Path(given["runner_token"]), given["repository"]):
            renewed.append("runners")
    except (ForgeError, OSError) as error:
        module.fail_json(msg=f"forge: {error}")
    module.exit_json(changed=bool(renewed), renewed=renewed)


if __name__ == "__main__":
    main()
