"""Takes the forge's webhook and serves /livez, /readyz and /metrics.

A webhook only wakes the bot: its content is checked for its signature and never read, because everything is asked of
the forge anyway.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from merge_bot.health import Health
from merge_bot.settings import SettingsError

MOST_BODY = 4 * 2**20
MOST_HEADERS = 100
MOST_CONNECTIONS = 32
SECONDS = 10

_log = logging.getLogger(__name__)

Answer = tuple[str, str, bytes]


class Server:
    """Answers HTTP requests.

    Args:
        secret: gives the secret that webhooks are signed with.
        wake: called for each webhook that is.
    """

    def __init__(self, health: Health, secret: Callable[[], str], wake: Callable[[], None]) -> None:
        self._health = health
        self._secret = secret
        self._wake = wake
        self._connections = 0

    async def start(self, port: int, host: str = "") -> asyncio.Server:
        """Start to listen."""
        return await asyncio.start_server(self._connected, host or None, port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > MOST_CONNECTIONS:
                return
            async with asyncio.timeout(SECONDS):
                status, kind, body = await self._answer(reader)
                head = (
                    f"HTTP/1.1 {status}",
                    f"Content-Type: {kind}",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join((*head, "", "")).encode() + body)
                await writer.drain()
        except SettingsError as error:
            _log.warning("%s", error)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            _log.debug("a request broke off: %r", error)
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        request = (await reader.readline()).decode("latin-1").split()
        headers: dict[str, str] = {}
        for _ in range(MOST_HEADERS):
            line = (await reader.readline()).decode("latin-1").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        else:
            return _text("431 Request Header Fields Too Large")
        method, path = request[:2] if len(request) >= 2 else ("", "")
        if path == "/webhook":
            return await self._webhook(method, headers, reader)
        return self._page(path)

    async def _webhook(self, method: str, headers: dict[str, str], reader: asyncio.StreamReader) -> Answer:
        length = headers.get("content-length", "")
        if method != "POST":
            return _text("405 Method Not Allowed")
        if not length.isdecimal():
            return _text("411 Length Required")
        if int(length) > MOST_BODY:
            # The bot looks by itself soon anyway.
            return _text("413 Content Too Large")
        body = await reader.readexactly(int(length))
        wanted = hmac.new(self._secret().encode(), body, hashlib.sha256).hexdigest()
        signed = hmac.compare_digest(wanted.encode(), headers.get("x-gitea-signature", "").encode("latin-1"))
        self._health.webhooks.labels("yes" if signed else "no").inc()
        if not signed:
            return _text("401 Unauthorized")
        self._wake()
        return _text("202 Accepted")

    def _page(self, path: str) -> Answer:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._health.registry)
        states = {"/livez": self._health.live, "/readyz": self._health.ready}
        if path not in states:
            return _text("404 Not Found")
        return _text("200 OK" if states[path] else "503 Service Unavailable")


def _text(status: str) -> Answer:
    return status, "text/plain", f"{status.partition(' ')[2].lower()}\n".encode()
