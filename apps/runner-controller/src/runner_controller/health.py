"""Serves /livez, /readyz and /metrics, from a thread of its own: a probe waits for none of the controller's work."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

# A pool polls its forge every second, or every half minute while the forge is away.
_STALE_SECONDS = 90
_BEAT_SECONDS = 1.0


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
        self.waiting = Gauge("runner_tasks_waiting", "Tasks that wait for a place", ["pool"], registry=self.registry)
        self.errors = Counter(
            "runner_forge_errors", "Calls that the forge did not answer well", ["pool"], registry=self.registry
        )
        self.broken = Gauge("runner_broken_pools", "PodTemplates that are no usable pool", registry=self.registry)
        self._contact: dict[str, float] = {}
        self._turn = time.monotonic()

    async def beat(self) -> None:
        """Note, as long as the event loop turns, that it does."""
        while True:
            self._turn = time.monotonic()
            await asyncio.sleep(_BEAT_SECONDS)

    def contact(self, pool: str) -> None:
        """The forge answered a pool."""
        self._contact[pool] = time.monotonic()

    def forget(self, pool: str) -> None:
        """A pool is no more."""
        self._contact.pop(pool, None)

    @property
    def live(self) -> bool:
        """Whether the event loop turns."""
        return time.monotonic() - self._turn < _STALE_SECONDS

    @property
    def ready(self) -> bool:
        """Whether there is a pool and the forge answers each."""
        contacts = list(self._contact.values())
        return bool(contacts) and all(time.monotonic() - last < _STALE_SECONDS for last in contacts)

    @contextmanager
    def serve(self, port: int, host: str = "") -> Iterator[int]:
        """Answer HTTP requests until the block ends; the port, which is a free one where `port` is 0."""
        health = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                status, kind, body = health.page(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes every few seconds are no news."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Whoever asked went away."""

        with Server((host, port), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
            thread.start()
            try:
                yield server.server_port
            finally:
                server.shutdown()
                thread.join()

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Status, type and body of a page."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self.registry)
        states = {"/livez": self.live, "/readyz": self.ready}
        if path not in states:
            return 404, "text/plain", b"not found\n"
        return (200, "text/plain", b"ok\n") if states[path] else (503, "text/plain", b"not yet\n")
