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
# What is looked at of a longer text, in characters, and what is left of its end, where a secret may be cut in two.
_LOOKED_AT = 2 * _LONGEST_ROW
_MARGIN = 4096

# What the forge keeps of a task's log. What is over it is read, for how the job goes on, and not kept.
LOG_BYTES = 32 << 20
# What a row costs beside its text, in the controller's memory as in the forge's index.
_ROW_BYTES = 128

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


# The text in an entry of act whose end is cut off; it stands before the step that it belongs to.
_CUT_MESSAGE = re.compile(r'"msg": ?("(?:[^"\\]|\\.)*)')


def weight(row: LogRow) -> int:
    """What a row takes up, in bytes and about."""
    return len(row.content) + _ROW_BYTES


class Transcript:
    """The log of one task as it grows. `state` and `job_result` say how far it got; `take_rows` hands out new rows.

    `incomplete`: not all that the job said is in it. `limit`: how much of it is kept, in bytes and about.
    """

    def __init__(
        self, steps: Sequence[str], mask: Callable[[str], str], started: datetime, limit: int = LOG_BYTES
    ) -> None:
        self.state = TaskState(started=started, steps=[StepState() for _ in steps])
        self.job_result: Result | None = None
        self.incomplete = False
        self.pending = 0  # what `take_rows` would return, as `weight` counts
        self._left = limit
        self._index = {step_id: index for index, step_id in enumerate(steps)}
        self._mask = mask
        self._new: list[LogRow] = []
        self._count = 0
        self._running: int | None = None

    @property
    def began(self) -> bool:
        """Whether a step did."""
        return any(step.started is not None for step in self.state.steps)

    def take_rows(self) -> list[LogRow]:
        """The rows added since the last call, in order."""
        rows, self._new = self._new, []
        self.pending = 0
        return rows

    def skip_to(self, held: int) -> bool:
        """Go on after the rows that the forge holds of an earlier reading; whether it holds more than there were."""
        if held <= self._count:
            return False
        self._count = held
        self.take_rows()
        return True

    def lost(self, time: datetime) -> None:
        """Say that lines before this moment are missing."""
        self.incomplete = True
        text = "##[warning]Lines are missing here: the cluster rotated the log away before they were read"
        self._add(time, text, self._running)

    def note(self, time: datetime, text: str) -> None:
        """Add a row of the controller's own."""
        self._add(time, text, self._running)

    def feed(self, time: datetime, line: str, cut: int = 0) -> None:
        """Take in one line of the raw log, of which `cut` bytes are left out at the end."""
        entry = None if cut else _entry(line)
        if entry is None:
            found = _CUT_MESSAGE.search(line, 0, _LOOKED_AT) if cut and line.startswith("{") else None
            text = _text(found.group(1)) if found else line
            self._add(time, text, self._running if found else None, cut + len(line) - len(text))
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
        self._append(time, _printable(message, 0, self._mask), unfinished)
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

    def _add(self, time: datetime, text: str, step: int | None, cut: int = 0) -> None:
        """Add a row, unless the log is full."""
        if self._left <= 0:
            return
        row = _printable(text, cut, self._mask)
        self._left -= len(row.encode()) + _ROW_BYTES
        if self._left <= 0:
            self.incomplete = True
            row = "##[warning]This log is full: what follows is not kept. The job goes on"
        self._append(time, row, step)

    def _append(self, time: datetime, row: str, step: int | None) -> None:
        self._new.append(LogRow(time, row))
        self.pending += weight(self._new[-1])
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


def _text(quoted: str) -> str:
    """The text that a JSON string without its end begins."""
    # The cut may be inside of an escape, the longest of which has six characters.
    for end in range(len(quoted), max(0, len(quoted) - 7), -1):
        try:
            return str(json.loads(f'{quoted[:end]}"'))
        except ValueError:
            continue
    return quoted


def _printable(text: str, cut: int, mask: Callable[[str], str]) -> str:
    """One row: of a line drawn over with carriage returns its last state, masked, cut to what the forge keeps.

    A row that is cut says by how many bytes, those `cut` before included.
    """
    segments = [segment for segment in text.rstrip("\r\n").split("\r") if segment.strip()]
    row = segments[-1] if segments else ""
    whole = len(row) <= _LOOKED_AT
    row, size = mask(row[:_LOOKED_AT]), len(row)
    raw = row.encode()
    if whole and not cut and len(raw) <= _LONGEST_ROW:
        return row
    kept = raw if whole and not cut else raw[:-_MARGIN]
    row = kept[:_LONGEST_ROW].decode(errors="ignore")
    return f"{row} [line cut: {cut + max(0, max(size, len(raw)) - len(row.encode()))} bytes more]"
