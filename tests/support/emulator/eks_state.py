"""What EKS keeps of a cluster beside its own document."""

import datetime
from dataclasses import dataclass, field
from typing import Protocol

from emulator.account import Where
from emulator.lifecycle import Document, Done, Shelf


class ApiServer(Protocol):
    """The API server of one cluster."""

    def ready(self) -> bool: ...
    def gone(self) -> bool: ...
    def stop(self) -> None: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def authority(self) -> str: ...


class ApiServers(Protocol):
    """Starts the API server of a cluster."""

    def start(self, name: str, auto_mode: bool) -> ApiServer: ...


@dataclass
class Kept:
    """What belongs to one cluster and goes with it."""

    here: Where
    server: ApiServer
    security_group: str
    interfaces: list[str] = field(default_factory=list)
    node_groups: Shelf = field(default_factory=Shelf)
    addons: Shelf = field(default_factory=Shelf)
    entries: dict[str, Document] = field(default_factory=dict)
    policies: dict[str, dict[str, Document]] = field(default_factory=dict)
    associations: dict[str, Document] = field(default_factory=dict)
    updates: dict[str, tuple[Document, Done]] = field(default_factory=dict)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
