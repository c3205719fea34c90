"""JSON requests to a service on this host."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any

TIMEOUT_SECONDS = 30


def basic(username: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Api:
    """A REST API below `url`; every request carries `authorization` and goes past any proxy."""

    def __init__(self, url: str, authorization: str) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": authorization, "Content-Type": "application/json"}
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and answer: decoded where it is JSON, the text of an error otherwise. Raises OSError."""
        data = None if body is None else json.dumps(body).encode()
        # The address is a fact of the cluster, not input.
        request = urllib.request.Request(f"{self.url}/{path}", data, self.headers, method=method)  # noqa: S310
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")[:300]
