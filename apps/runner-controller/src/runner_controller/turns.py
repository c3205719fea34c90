"""Whose job starts next: a pool's places, shared out by trust class and by person."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from runner_controller.pools import Pool
from runner_controller.trust import Trust

# Jobs that may wait here for a place; the forge takes back none that it gave, and a pod and a Secret hold each.
MOST_WAITING = 200
MOST_WAITING_OF_ONE = 50


@dataclass(frozen=True)
class Turn:
    """A job that runs or waits: its task, its trust class, and the person whose doing started it."""

    task_id: int
    trust: str
    actor: str


def following(running: Collection[Turn], waiting: Collection[Turn], pool: Pool) -> Turn | None:
    """The waiting job that starts now, if one may.

    Trusted jobs go first. Among the others of a class that has a place, whoever has the fewest jobs running; then
    the older job.
    """
    if len(running) >= pool.max_concurrent:
        return None
    by_class = {trust: [turn.actor for turn in running if turn.trust == trust] for trust in {t.trust for t in waiting}}
    able = [turn for turn in waiting if len(by_class[turn.trust]) < pool.limit(turn.trust).jobs]

    def rank(turn: Turn) -> tuple[bool, int, int]:
        return turn.trust != Trust.TRUSTED.value, by_class[turn.trust].count(turn.actor), turn.task_id

    return min(able, key=rank, default=None)


class Queue:
    """The jobs of one pool. Jobs wait until `pool` is known and gives them a place."""

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self.running: dict[int, Turn] = {}
        self.waiting: dict[int, Turn] = {}
        self._called: dict[int, asyncio.Event] = {}

    def use(self, pool: Pool) -> None:
        """Take over the pool's limits."""
        self.pool = pool
        self._call()

    def refusal(self, turn: Turn) -> str:
        """Why a job may not even wait, or nothing. Of trusted ones few ever do: with none of their places free
        no more tasks are fetched."""
        if turn.trust == Trust.TRUSTED.value:
            return ""
        of_one = sum(other.actor == turn.actor for other in self.waiting.values())
        if of_one >= MOST_WAITING_OF_ONE:
            return f"{of_one} jobs of {turn.actor or 'nobody'} wait already: run this one again when some have ended"
        if len(self.waiting) >= MOST_WAITING:
            return f"{len(self.waiting)} jobs wait already: run this one again when some have ended"
        return ""

    def enter(self, turn: Turn) -> bool:
        """Add a job; whether it may start at once. Otherwise `called` says when."""
        self.wait(turn)
        return turn.task_id in self.running

    def wait(self, turn: Turn) -> None:
        """Add a job that waits."""
        self.waiting[turn.task_id] = turn
        self._called[turn.task_id] = asyncio.Event()
        self._call()

    def resume(self, turn: Turn) -> None:
        """Add a job that runs already."""
        self.running[turn.task_id] = turn

    async def called(self, task_id: int) -> None:
        """Wait until it is a job's turn; it counts as running from then on."""
        event = self._called.get(task_id)
        if event is not None:
            await event.wait()

    def leave(self, task_id: int) -> None:
        """Take out a job that ended."""
        self.running.pop(task_id, None)
        self.waiting.pop(task_id, None)
        self._called.pop(task_id, None)
        self._call()

    def _call(self) -> None:
        while self.pool is not None:
            turn = following(self.running.values(), self.waiting.values(), self.pool)
            if turn is None:
                return
            self.running[turn.task_id] = self.waiting.pop(turn.task_id)
            self._called[turn.task_id].set()
