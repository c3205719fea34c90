"""Turns a job's raw log into the rows and step states that the forge shows.

The raw log is what `run-job` prints: plain lines, and act's JSON lines. The same raw log always gives the same rows
with the same numbers, so a restarted controller reads it from the start and the forge skips what it already holds.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from runner_controller.protocol import LogRow, Result, StepState, TaskState

# The forge cuts rows at 64 KiB and reads them back with a buffer of that size.
_LONGEST_ROW = 60_000

_RESULTS = {
    "success": Result.SUCCESS,
    "failure": Result.FAILURE,
    "skipped": Result.SKIPPED,
    "cancelled": Result.CANCELLED,
}

# Commands that the forge's page renders; act puts a symbol before them. It has carried out the others already.
_SHOWN_COMMANDS = frozenset({"group", "endgroup", "notice", "warning", "error"})
_SYMBOL = re.compile(r"^\s*\S+\s+(?=::|##\[)")

_KILLED = re.compile(r"signal: killed|exit status 137")
# What act says of a step that it ended itself, because the job is being stopped.
_STOPPED = "step has been cancelled"
_KILLED_HINT = "##[error]A process of this step was killed; unless that was on purpose, the job ran out of memory."


class Transcript:
    """The log of one task as it grows. `state` and `job_result` say how far it got; `take_rows` hands out new rows."""

    def __init__(self, steps: Sequence[str], mask: Callable[[str], str], started: datetime) -> None:
        self.state = TaskState(started=started, steps=[StepState() for _ in steps])
        self.job_result: Result | None = None
        self._index = {step_id: index for index, step_id in enumerate(steps)}
        self._mask = mask
        self._new: list[LogRow] = []
        self._count = 0
        self._running: int | None = None

    @property
    def pending(self) -> int:
        """How many rows `take_rows` would return."""
        return len(self._new)

    def take_rows(self) -> list[LogRow]:
        """The rows added since the last call, in order."""
        rows, self._new = self._new, []
        return rows

    def note(self, time: datetime, text: str) -> None:
        """Add a row of the controller's own."""
        self._add(time, text, self._running)

    def feed(self, time: datetime, line: str) -> None:
        """Take in one line of the raw log."""
        entry = _entry(line)
        if entry is None:
            self._add(time, line, None)
            return
        message = str(entry.get("msg", ""))
        if "jobResult" in entry:
            self.job_result = _RESULTS.get(str(entry["jobResult"]), Result.FAILURE)
        step = self._step(entry)
        if entry.get("stage") != "Main" or step is None:
            if entry.get("raw_output") or entry.get("level") in ("error", "warning", "fatal"):
                self._add(time, message, None)
            return
        self._start(step, time)
        self._add_step_row(step, time, entry, message)
        if "stepResult" in entry and len(entry.get("stepID", [])) == 1:
            state = self.state.steps[step]
            state.result = _RESULTS.get(str(entry["stepResult"]), Result.FAILURE)
            state.stopped = time

    def finish(self, result: Result, time: datetime, message: str) -> None:
        """Close the log with a last row, and give each step a result."""
        unfinished = self._running
        if unfinished is not None and self.state.steps[unfinished].result is not Result.UNSPECIFIED:
            unfinished = None
        self._add(time, message, unfinished)
        cancelled = result is Result.CANCELLED
        for index, step in enumerate(self.state.steps):
            if step.result is Result.UNSPECIFIED and index == unfinished:
                step.result = Result.CANCELLED if cancelled else Result.FAILURE
                step.stopped = time
            elif step.result is Result.UNSPECIFIED:
                step.result = Result.CANCELLED if cancelled else Result.SKIPPED
                step.log_index = self._count
        self.state.result = result
        self.state.stopped = time

    def _step(self, entry: dict[str, Any]) -> int | None:
        """The number of the entry's step; a composite action's inner steps count as the outer one."""
        ids = entry.get("stepID")
        return self._index.get(str(ids[0])) if isinstance(ids, list) and ids else None

    def _start(self, step: int, time: datetime) -> None:
        """Note that a step runs; act says nothing of the steps that it skips."""
        self._running = step
        state = self.state.steps[step]
        if state.started is not None:
            return
        state.started = time
        state.log_index = self._count
        for earlier in self.state.steps[:step]:
            if earlier.result is Result.UNSPECIFIED and earlier.started is None:
                earlier.result = Result.SKIPPED
                earlier.log_index = self._count

    def _add_step_row(self, step: int, time: datetime, entry: dict[str, Any], message: str) -> None:
        if entry.get("raw_output"):
            self._add(time, message, step)
        elif entry.get("command") in _SHOWN_COMMANDS:
            self._add(time, _SYMBOL.sub("", message), step)
        elif entry.get("level") in ("error", "warning", "fatal"):
            self._add(time, f"##[error]{message}", step)
            if _KILLED.search(message) and _STOPPED not in message:
                self._add(time, _KILLED_HINT, step)

    def _add(self, time: datetime, text: str, step: int | None) -> None:
        self._new.append(LogRow(time, _printable(self._mask(text))))
        self._count += 1
        if step is not None:
            self.state.steps[step].log_length = self._count - self.state.steps[step].log_index


def _entry(line: str) -> dict[str, Any] | None:
    """The act log entry in a line, or None for a plain line."""
    if not line.startswith("{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "msg" in entry and "level" in entry else None


def _printable(text: str) -> str:
    """One row: of a line drawn over with carriage returns its last state, cut to what the forge keeps."""
    segments = [segment for segment in text.rstrip("\r\n").split("\r") if segment.strip()]
    row = segments[-1] if segments else ""
    raw = row.encode()
    if len(raw) > _LONGEST_ROW:
        row = raw[:_LONGEST_ROW].decode(errors="ignore") + " [line cut]"
    return row
