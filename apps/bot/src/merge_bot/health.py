"""What the bot tells of itself: its metrics, and the state behind its probes."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge

# A turn is made every half minute, and one request of it takes 20 seconds at most.
STALE_SECONDS = 300


class Health:
    """Counters, and when the last turn was made and succeeded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.merges = Counter("bot_merges", "Pull requests merged", registry=self.registry)
        self.updates = Counter("bot_updates", "Branches brought up to date with main", registry=self.registry)
        self.errors = Counter("bot_errors", "Turns, pull requests and calls that failed", registry=self.registry)
        self.webhooks = Counter(
            "bot_webhooks", "Webhooks by whether they were signed", ["signed"], registry=self.registry
        )
        self.open = Gauge(
            "bot_open_pull_requests", "Open pull requests into main that were judged", registry=self.registry
        )
        self._turned = time.monotonic()
        self._succeeded: float | None = None

    def turned(self, succeeded: bool) -> None:
        """A turn ended."""
        self._turned = time.monotonic()
        if succeeded:
            self._succeeded = self._turned

    @property
    def live(self) -> bool:
        """Whether turns are made, well or not."""
        return time.monotonic() - self._turned < STALE_SECONDS

    @property
    def ready(self) -> bool:
        """Whether the last turns succeeded."""
        return self._succeeded is not None and time.monotonic() - self._succeeded < STALE_SECONDS
