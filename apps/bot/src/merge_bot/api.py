"""JSON over HTTP against one Gitea, with every answer, wait and number of pages bounded."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx

PAGE_SIZE = 50
MOST_PAGES = 40
MOST_BYTES = 16 * 2**20
TIMEOUT = httpx.Timeout(20, connect=5)


class ForgeError(Exception):
    """The forge did not do what was asked; `status` is 0 where it gave no usable answer."""

    def __init__(self, method: str, path: str, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(f"{method} {path}: {status or 'no answer'}: {detail}")


class TooBig(ForgeError):
    """An answer of more bytes than are read."""


class Api:
    """The REST API of one repository, as one account.

    Args:
        token: gives the account's token; asked at every request.
    """

    def __init__(self, url: str, repository: str, token: Callable[[], str]) -> None:
        self.repository = repository
        self._root = f"{url}/api/v1"
        self._token = token
        # The forge is an address of the platform, never behind the host's proxy.
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, method: str, path: str, body: object = None, parameters: dict[str, Any] | None = None) -> Any:
        """One request below the repository (below the API's root where `path` begins with `/`); the answer's JSON,
        `None` where it has none. Raises ForgeError.
        """
        place = path if path.startswith("/") else f"/repos/{self.repository}/{path}".rstrip("/")
        headers = {"Accept": "application/json", "Authorization": f"token {self._token()}"}
        content = bytearray()
        try:
            with self._client.stream(
                method, f"{self._root}{place}", json=body, params=parameters, headers=headers
            ) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise TooBig(method, place, 0, f"more than {MOST_BYTES} bytes")
        except httpx.HTTPError as error:
            raise ForgeError(method, place, 0, type(error).__name__) from error
        if not response.is_success:
            raise ForgeError(method, place, response.status_code, _detail(bytes(content)))
        if not content.strip():
            return None
        try:
            return json.loads(content)
        except ValueError:
            raise ForgeError(method, place, 0, "the answer is not JSON") from None

    def find(self, path: str, parameters: dict[str, Any] | None = None) -> Any:
        """The JSON at `path`, `None` where there is nothing."""
        try:
            return self.call("GET", path, parameters=parameters)
        except ForgeError as error:
            if error.status == 404:
                return None
            raise

    def pages(
        self, path: str, parameters: dict[str, Any] | None = None, most: int = 0, skip_big: bool = False
    ) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list.

        Raises ForgeError past `most` pages (MOST_PAGES where that is 0), and for a page that
        is too big: half a list would be judged as the whole.
        With `skip_big` a single entry that is too big is left out, so that nobody can hide the other ones behind it.
        """
        most = most or MOST_PAGES
        for page in range(1, most + 1):
            try:
                entries = self._page(path, parameters, page, PAGE_SIZE)
                last = len(entries) < PAGE_SIZE
            except TooBig:
                if not skip_big:
                    raise
                entries, last = self._one_by_one(path, parameters, page)
            yield entries
            if last:
                return
        raise ForgeError("GET", path, 0, f"more than {most * PAGE_SIZE} entries")

    def _page(self, path: str, parameters: dict[str, Any] | None, page: int, size: int) -> list[dict[str, Any]]:
        return self.call("GET", path, parameters={**(parameters or {}), "page": page, "limit": size}) or []

    def _one_by_one(self, path: str, parameters: dict[str, Any] | None, page: int) -> tuple[list[dict[str, Any]], bool]:
        entries: list[dict[str, Any]] = []
        for number in range((page - 1) * PAGE_SIZE + 1, page * PAGE_SIZE + 1):
            try:
                found = self._page(path, parameters, number, 1)
            except TooBig:
                continue
            if not found:
                return entries, True
            entries += found
        return entries, False

    def all(self, path: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """A whole list."""
        return [entry for page in self.pages(path, parameters) for entry in page]


def part(text: str) -> str:
    """Text as one part of a path."""
    return quote(text, safe="")


def _detail(content: bytes) -> str:
    try:
        answer = json.loads(content)
        text = str(answer.get("message", "")) if isinstance(answer, dict) else ""
    except ValueError:
        text = ""
    return " ".join(text.split())[:300]
