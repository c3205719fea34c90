#!/usr/bin/python
"""Ensure objects of a REST API: read each, create what is missing, update what differs."""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rest import Api, basic

DOCUMENTATION = r"""
module: rest_objects
short_description: Ensure objects of a REST API
options:
  url: {type: str, required: true, description: What every path is appended to.}
  username: {type: str, required: true}
  password: {type: str, required: true}
  objects:
    type: list
    required: true
    description: >
      In order. `only_if` names a path without which the object is left alone. Each has `path` (read with GET; 404 means
      missing) and `desired` (the keys that must have these values; others are left alone, and the order of a list does
      not matter). `find` picks the element of a list by these keys. `create` and `update` are each a `method` and a
      `path`, by default POST to the parent of `path` and PATCH of `path` (of `path/<id>` for a found element).
      `initial` is sent on creation only, `always` with every request: for values that cannot be read back. A text
      `$name` in either is replaced by that secret.
  secrets: {type: dict, description: Values that must not be logged, by name.}
"""


class ApiError(Exception):
    """A request that the API answered in an unexpected way."""


def request(api: Api, method: str, path: str, body: Any = None) -> Any:
    """The answer; None where a GET finds nothing. Raises ApiError for every other failure."""
    try:
        status, answer = api.ask(method, path, body)
    except OSError as error:
        raise ApiError(f"{method} {api.url}/{path}: {error}") from None
    if status == 404 and method == "GET":
        return None
    if status >= 400:
        raise ApiError(f"{method} {api.url}/{path}: {status} {answer}")
    return answer


def differs(actual: Any, desired: Any) -> bool:
    """Whether `actual` lacks something of `desired`. Keys that `desired` does not name do not matter."""
    if isinstance(desired, dict):
        return not isinstance(actual, dict) or any(differs(actual.get(key), value) for key, value in desired.items())
    if isinstance(desired, list):
        return not isinstance(actual, list) or sorted(map(str, actual)) != sorted(map(str, desired))
    return bool(actual != desired)


def merged(*parts: Any) -> Any:
    """The dictionaries laid over each other, nested ones too."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result


def resolved(value: Any, secrets: dict[str, str]) -> Any:
    """`value` with each text `$name` replaced by the secret of that name."""
    if isinstance(value, dict):
        return {key: resolved(item, secrets) for key, item in value.items()}
    if isinstance(value, str) and value.startswith("$"):
        return secrets[value[1:]]
    return value


def ensure(api: Api, wanted: dict[str, Any], secrets: dict[str, str], dry_run: bool) -> str | None:
    """Create or update one object. Returns what was done, None when nothing had to be."""
    path, desired = wanted["path"], wanted.get("desired", {})
    always, initial = resolved(wanted.get("always", {}), secrets), resolved(wanted.get("initial", {}), secrets)
    if "only_if" in wanted and request(api, "GET", wanted["only_if"]) is None:
        return None
    actual = read(api, wanted)
    created = actual is None
    if created:
        how = {"method": "POST", "path": path if "find" in wanted else path.rsplit("/", 1)[0]}
        how |= wanted.get("create", {})
        if dry_run:
            return f"created {path}"
        request(api, how["method"], how["path"], merged(desired, always, initial))
        # A creation may take fewer keys than an update, and say nothing of those that it leaves out.
        actual = read(api, wanted)
    here = f"{path}/{actual['id']}" if actual and "find" in wanted else path
    if actual is not None and differs(actual, desired):
        how = {"method": "PATCH", "path": here} | wanted.get("update", {})
        if not dry_run:
            request(api, how["method"], how["path"], merged(desired, always))
        return f"created {path}" if created else f"updated {here}"
    return f"created {path}" if created else None


def read(api: Api, wanted: dict[str, Any]) -> Any:
    """The object as it is, None when it is missing."""
    actual = request(api, "GET", wanted["path"])
    if "find" not in wanted:
        return actual
    return next((item for item in actual or [] if not differs(item, wanted["find"])), None)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "objects": {"type": "list", "elements": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    api = Api(given["url"], basic(given["username"], given["password"]))
    done = []
    try:
        for wanted in given["objects"]:
            if action := ensure(api, wanted, given["secrets"], module.check_mode):
                done.append(action)
    except ApiError as error:
        module.fail_json(msg=str(error), done=done)
    module.exit_json(changed=bool(done), done=done)


if __name__ == "__main__":
    main()
