"""HTTP with retries, paging and errors that say what to do."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

IDEMPOTENT = frozenset({"GET", "PUT", "PATCH", "DELETE"})
# Nobody is there who could answer: the forge, or what stands before it, is being started.
AWAY = frozenset({502, 503, 504})
# A forge answers these before it acts, so even a POST may be sent again.
NOT_ACCEPTED = frozenset({429, 503})
PAGE_SIZE = 50

ADVICE = {
    401: "the credential is missing, expired or wrong: give a valid token",
    403: "the account lacks a right it needs here: grant it, or use another account's token",
    404: "it does not exist, or the account may not see it: check the name and the account's access to the repository",
    409: "it is in conflict with a newer state: fetch the branch again and repeat",
    413: "the forge refuses a body of this size: make it smaller",
    422: "the forge refuses these values: the answer names them",
    429: "too many requests: wait a while and repeat",
}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token."""

    value: str

    def __repr__(self) -> str:
        return "Token(...)"


@dataclass(frozen=True, slots=True)
class Password:
    """An account's name and password."""

    user: str
    value: str

    def __repr__(self) -> str:
        return f"Password({self.user!r}, ...)"


Credentials = Token | Password


class ForgeError(Exception):
    """A request that the forge did not fulfil. `status` is 0 when there was no answer at all."""

    def __init__(self, method: str, url: str, status: int, detail: str) -> None:
        self.status = status
        self.url = url
        self.detail = detail
        advice = ADVICE.get(status, "the forge is failing: look at its log" if status >= 500 else "")
        if status == 0:
            advice = "is the forge running, and is its address right?"
        answer = f"HTTP {status}" if status else "no answer"
        message = f"{method} {url}: {answer}: {detail}" if detail else f"{method} {url}: {answer}"
        super().__init__(f"{message}. {advice[0].upper()}{advice[1:]}" if advice else message)


class Session:
    """JSON over HTTP against one API root.

    Args:
        root: address of the API without a trailing slash.
        credentials: token or password; `None` for anonymous reads.
        attempts: how often a request is sent before its failure counts.
        patience: how many seconds it is sent on after that while the forge is away.
        sleep: waits between attempts; a test passes its own.
    """

    def __init__(
        self,
        root: str,
        credentials: Credentials | None,
        attempts: int = 5,
        timeout: float = 30.0,
        sleep: Callable[[float], None] | None = None,
        *,
        patience: float = 0.0,
    ) -> None:
        self.root = root
        self._attempts = attempts
        self._patience = patience
        self._sleep = sleep or time.sleep
        headers = {"Accept": "application/json"}
        if isinstance(credentials, Token):
            headers["Authorization"] = f"token {credentials.value}"
        auth = (credentials.user, credentials.value) if isinstance(credentials, Password) else None
        self._client = httpx.Client(headers=headers, auth=auth, timeout=timeout, follow_redirects=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        params: dict[str, Any] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        """Send one request; raise `ForgeError` unless the answer is a success.

        A request is repeated, with growing waits, when that can do no harm: any idempotent method, a POST that
        the caller calls `repeatable`, and one that the forge has not accepted.
        """
        url = f"{self.root}{path}"
        safe = repeatable or method in IDEMPOTENT
        waited = 0.0
        for attempt in count(1):
            last = attempt >= self._attempts
            given_up = last and waited >= self._patience
            try:
                response = self._client.request(method, url, json=body, params=params)
            except httpx.TransportError as error:
                if given_up or not (safe or isinstance(error, httpx.ConnectError)):
                    raise ForgeError(method, url, 0, str(error) or type(error).__name__) from error
            else:
                if response.is_success:
                    return response
                status = response.status_code
                tired = given_up if status in AWAY else last
                if tired or not (status in NOT_ACCEPTED or (status >= 500 and safe)):
                    raise ForgeError(method, url, status, _detail(response))
            pause = min(0.5 * 2 ** min(attempt - 1, 4), 8.0)
            waited += pause
            self._sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def json(
        self,
        method: str,
        path: str,
        body: object = None,
        params: dict[str, Any] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """`request`, with the answer's JSON (`None` where it has no body)."""
        response = self.request(method, path, body, params, repeatable)
        return response.json() if response.content else None

    def find(self, path: str) -> Any | None:
        """The JSON at `path`, or `None` where there is nothing."""
        try:
            return self.json("GET", path)
        except ForgeError as error:
            if error.status == 404:
                return None
            raise

    def pages(self, path: str, params: dict[str, Any] | None = None, key: str | None = None) -> Iterator[Any]:
        """Every entry of a paged list; `key` names the list where the answer wraps it in an object."""
        page = 1
        while True:
            # Gitea reads `limit`, GitHub `per_page`; each ignores the other's.
            query = {**(params or {}), "page": page, "limit": PAGE_SIZE, "per_page": PAGE_SIZE}
            response = self.request("GET", path, params=query)
            answer = response.json()
            yield from (answer[key] if key else answer) or []
            if "next" not in response.links:
                return
            page += 1


def _detail(response: httpx.Response) -> str:
    """What the forge says about its refusal, on one line."""
    try:
        answer = response.json()
    except ValueError:
        return " ".join(response.text.split())[:200]
    if not isinstance(answer, dict):
        return str(answer)[:200]
    parts = [str(answer.get("message") or answer.get("error") or "")]
    parts += [
        str(error.get("message", error)) if isinstance(error, dict) else str(error)
        for error in answer.get("errors") or []
    ]
    return " ".join("; ".join(part for part in parts if part).split())[:300]
