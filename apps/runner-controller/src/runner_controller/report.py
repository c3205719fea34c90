"""Sends a task's rows and states to the forge."""

from collections import deque
from itertools import islice

from runner_controller.protocol import ForgeError, LogArchived, LogRow, Result, RunnerClient
from runner_controller.transcript import Transcript, weight

_BATCH_ROWS = 1000
_BATCH_BYTES = 1 << 20


class Reporter:
    """Reports one task. A call that raised ForgeError may be made again: the forge skips rows that it holds."""

    def __init__(self, client: RunnerClient, task_id: int, transcript: Transcript) -> None:
        self._client = client
        self._task_id = task_id
        self._transcript = transcript
        self._rows: deque[LogRow] = deque()
        self._waiting = 0  # what _rows take up
        self._first = 0  # the number of the first row in _rows
        self._held = 0  # how many rows the forge holds

    @property
    def backlog(self) -> int:
        """How much memory the rows that wait to be sent take up, in bytes and about."""
        return self._waiting + self._transcript.pending

    async def push(self) -> Result:
        """Send what is new; the result that the forge holds, which is CANCELLED when somebody cancelled the job."""
        self._take()
        while self._rows:
            await self._send_batch()
        return await self._client.update_task(self._task_id, self._transcript.state)

    async def close(self) -> None:
        """Send the rest after `Transcript.finish`, archive the log and report the result."""
        self._take()
        while len(self._rows) > 1:
            await self._send_batch(leave=1)
        # Only a row that the forge does not hold yet carries `no_more`; hence the last one waits for it.
        if self._rows:
            self._held = await self._client.update_log(self._task_id, 0, [])
            last = [self._rows[-1]]
            try:
                await self._client.update_log(self._task_id, max(self._first, self._held), last, no_more=True)
            except LogArchived:
                pass
            self._rows.clear()
        await self._client.update_task(self._task_id, self._transcript.state)

    async def skip_held(self) -> bool:
        """Go on after the rows that the forge holds already; whether it holds more than were read this time."""
        held = await self._client.update_log(self._task_id, 0, [])
        if not self._transcript.skip_to(held):
            return False
        self._rows.clear()
        self._first, self._waiting = held, 0
        return True

    def _take(self) -> None:
        self._waiting += self._transcript.pending
        self._rows.extend(self._transcript.take_rows())

    async def _send_batch(self, leave: int = 0) -> None:
        batch: list[LogRow] = []
        size = 0
        for row in islice(self._rows, min(_BATCH_ROWS, len(self._rows) - leave)):
            size += weight(row)
            if batch and size > _BATCH_BYTES:
                break
            batch.append(row)
        first = self._first
        try:
            self._held = await self._client.update_log(self._task_id, first, batch)
        except LogArchived:
            self._held = first + len(batch)
        if self._held <= first:
            raise ForgeError(f"task {self._task_id}: the forge holds {self._held} log rows and refuses row {first}")
        # Not those after the batch: of an earlier reading the forge may hold more.
        while self._rows and self._first < min(self._held, first + len(batch)):
            self._waiting -= weight(self._rows.popleft())
            self._first += 1
