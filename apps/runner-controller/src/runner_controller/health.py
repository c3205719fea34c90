"""Serves /livez, /readyz and /metrics."""

import asyncio
import logging
import time

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

_log = logging.getLogger(__name__)

# A pool polls its forge every second, or every half minute while the forge is away.
_STALE_SECONDS = 90


class Health:
    """The controller's metrics and the state behind its probes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.tasks = Counter(
            "runner_tasks",
            "Tasks that ended, by pool, trust class and result",
            ["pool", "trust", "result"],
            registry=self.registry,
        )
        self.running = Gauge("runner_tasks_running", "Tasks being run", ["pool"], registry=self.registry)
        self.errors = Counter(
            "runner_forge_errors", "Calls that the forge did not answer well", ["pool"], registry=self.registry
        )
        self.broken = Gauge("runner_broken_pools", "PodTemplates that are no usable pool", registry=self.registry)
        self._contact: dict[str, float] = {}
        self._turn = time.monotonic()

    def turn(self) -> None:
        """The main loop went round."""
        self._turn = time.monotonic()

    def contact(self, pool: str) -> None:
        """The forge answered a pool."""
        self._contact[pool] = time.monotonic()

    def forget(self, pool: str) -> None:
        """A pool is no more."""
        self._contact.pop(pool, None)

    @property
    def live(self) -> bool:
        """Whether the main loop turns."""
        return time.monotonic() - self._turn < _STALE_SECONDS

    @property
    def ready(self) -> bool:
        """Whether there is a pool and the forge answers each."""
        return bool(self._contact) and all(time.monotonic() - last < _STALE_SECONDS for last in self._contact.values())

    async def serve(self, port: int, host: str = "") -> asyncio.Server:
        """Start to answer HTTP requests."""
        return await asyncio.start_server(self._answer, host or None, port)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                request = (await reader.readline()).split()
                while (await reader.readline()).strip():
                    pass
                status, kind, body = self._page(request[1].decode() if len(request) > 1 else "")
                fields = (
                    f"HTTP/1.1 {status}",
                    f"Content-Type: {kind}",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join((*fields, "", "")).encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, ValueError, UnicodeDecodeError) as error:
            _log.debug("a request for health or metrics broke off: %s", error)
        finally:
            writer.close()

    def _page(self, path: str) -> tuple[str, str, bytes]:
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self.registry)
        states = {"/livez": self.live, "/readyz": self.ready}
        if path not in states:
            return "404 Not Found", "text/plain", b"not found\n"
        if states[path]:
            return "200 OK", "text/plain", b"ok\n"
        return "503 Service Unavailable", "text/plain", b"not yet\n"
