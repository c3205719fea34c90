"""How a live object differs from the inputs that made it.

The API server adds defaults and rewrites some values ("1000m" becomes "1"), so a live object is never equal to its
inputs. Only the fields that the inputs have are looked at, and a value that the server rewrote when it was applied
counts as changed only when it has changed since.
"""

import base64
from typing import Any

from plugins.wire import Path, format_path

GONE = object()


def view(live: dict[str, Any]) -> dict[str, Any]:
    """A live object in the terms of inputs: a Secret's data also as text."""
    if live.get("kind") != "Secret":
        return live
    decoded = {
        key: base64.b64decode(value).decode("utf-8", "replace") for key, value in (live.get("data") or {}).items()
    }
    return {**live, "stringData": decoded}


def rewritten(inputs: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The values that the server rewrote on apply, by path: what to expect next time in place of the inputs."""
    found: dict[str, Any] = {}

    def note(path: Path, given: Any, now: Any) -> Any:
        if now is not GONE:
            found[format_path(path)] = now
        return given

    _merge((), inputs, view(live), note)
    return found


def merged(inputs: dict[str, Any], live: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """The inputs as the live object has them now; equal to `inputs` where nothing drifted."""

    def choose(path: Path, given: Any, now: Any) -> Any:
        return given if format_path(path) in expected and expected[format_path(path)] == now else now

    result: dict[str, Any] = _merge((), inputs, view(live), choose)
    return result


def _merge(path: Path, given: Any, now: Any, differs: Any) -> Any:
    if isinstance(given, dict) and isinstance(now, dict):
        values = {key: _merge((*path, key), value, now.get(key, GONE), differs) for key, value in given.items()}
        return {key: value for key, value in values.items() if value is not GONE}
    if isinstance(given, list) and isinstance(now, list) and len(given) == len(now):
        return [_merge((*path, index), value, now[index], differs) for index, value in enumerate(given)]
    # The server drops empty values; that they are gone is no drift.
    if given == now or (now is GONE and given in (None, "", [], {}, 0, False)):
        return given
    return differs(path, given, now)
