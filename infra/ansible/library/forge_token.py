#!/usr/bin/python
"""Keep a working access token of a forge account in a file."""

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write_atomically

DOCUMENTATION = r"""
module: forge_token
short_description: Keep a working access token of a forge account in a file
options:
  url: {type: str, required: true, description: The forge's API, up to /api/v1.}
  username: {type: str, required: true, description: An administrator.}
  password: {type: str, required: true}
  account: {type: str, required: true}
  name: {type: str, required: true}
  scopes: {type: list, elements: str, required: true}
  probe: {type: str, required: true, description: A path that the token must be able to read.}
  path: {type: path, required: true}
"""
TIMEOUT_SECONDS = 30


def call(url: str, authorization: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """Status and decoded answer of one request, past any proxy. Raises OSError when the forge cannot be reached."""
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data, headers, method=method), timeout=TIMEOUT_SECONDS) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def up_to_date(listed: list[dict[str, Any]], name: str, token: str, scopes: list[str]) -> bool:
    """Whether the forge lists `token` under `name` with exactly `scopes`."""
    return any(
        entry["name"] == name and token.endswith(entry["token_last_eight"]) and set(entry["scopes"]) == set(scopes)
        for entry in listed
    )


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "url": text,
            "username": text,
            "password": text | {"no_log": True},
            "account": text,
            "name": text,
            "scopes": {"type": "list", "elements": "str", "required": True},
            "probe": text,
            "path": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    path = Path(given["path"])
    basic = "Basic " + base64.b64encode(f"{given['username']}:{given['password']}".encode()).decode()
    tokens = f"{given['url']}/users/{given['account']}/tokens"
    try:
        token = path.read_text().strip() if path.exists() else ""
        status, listed = call(tokens, basic)
        if status != 200:
            module.fail_json(msg=f"GET {tokens}: {status} {listed}")
        if token and up_to_date(listed, given["name"], token, given["scopes"]):
            if call(f"{given['url']}/{given['probe']}", f"token {token}")[0] == 200:
                module.exit_json(changed=False)
        if module.check_mode:
            module.exit_json(changed=True)
        for entry in listed:
            if entry["name"] == given["name"]:
                call(f"{tokens}/{entry['id']}", basic, "DELETE")
        status, made = call(tokens, basic, "POST", {"name": given["name"], "scopes": given["scopes"]})
        if status != 201:
            module.fail_json(msg=f"POST {tokens}: {status} {made}")
        write_atomically(path, made["sha1"])
    except OSError as error:
        module.fail_json(msg=f"{given['url']}: {error}")
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
