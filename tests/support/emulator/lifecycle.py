"""Resources that take a while: created, updated and deleted in the background, as their status says."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
Done = Callable[[], bool]


def after(seconds: float) -> Done:
    """Whether `seconds` have passed since now."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@dataclass
class _Pending:
    done: Done
    then: str | None  # the status to have then; None: be gone


class Shelf:
    """The resources of one kind by name. Their documents' `status` says what goes on."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._pending: dict[str, _Pending] = {}

    def add(self, name: str, document: Document, done: Done) -> Document:
        """Keep a document: CREATING until `done`, then ACTIVE."""
        self._documents[name] = document | {"status": "CREATING"}
        self._pending[name] = _Pending(done, "ACTIVE")
        return self._documents[name]

    def get(self, name: str) -> Document | None:
        """The document as it now is; None where there is none, or none any more."""
        self._settle(name)
        return self._documents.get(name)

    def change(self, name: str, done: Done) -> None:
        """UPDATING until `done`, then ACTIVE."""
        self._documents[name]["status"] = "UPDATING"
        self._pending[name] = _Pending(done, "ACTIVE")

    def remove(self, name: str, done: Done) -> Document:
        """DELETING until `done`, then gone."""
        self._documents[name]["status"] = "DELETING"
        self._pending[name] = _Pending(done, None)
        return self._documents[name]

    def __iter__(self) -> Iterator[str]:
        for name in list(self._documents):
            if self.get(name) is not None:
                yield name

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def _settle(self, name: str) -> None:
        pending = self._pending.get(name)
        if not pending or not pending.done():
            return
        del self._pending[name]
        if pending.then is None:
            del self._documents[name]
        else:
            self._documents[name]["status"] = pending.then
