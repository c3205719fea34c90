"""Whose job starts next."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

import coroutines
from runner_controller.pools import Pool, from_template
from runner_controller.turns import MOST_WAITING, MOST_WAITING_OF_ONE, Queue, Turn, following

POOL_FILE = Path(__file__).resolve().parents[3] / "apps" / "runner-controller" / "pools" / "cpu" / "pool.yaml"


@pytest.fixture
def pool() -> Pool:
    """Three places, two of them for untrusted jobs."""
    template: dict[str, Any] = yaml.safe_load(POOL_FILE.read_text())
    return from_template(template)


def turn(task_id: int, actor: str = "ada", trust: str = "untrusted") -> Turn:
    return Turn(task_id, trust, actor)


def test_s12_a_trusted_job_starts_beside_two_that_sleep(pool: Pool) -> None:
    running = [turn(1), turn(2)]
    assert following(running, [turn(3)], pool) is None
    assert following(running, [turn(3), turn(4, trust="trusted")], pool) == turn(4, trust="trusted")
    # Nor does a measurement take the place that is left to those.
    running.append(turn(4, trust="evaluation"))
    assert following(running, [turn(5, trust="evaluation"), turn(6)], pool) is None
    assert following(running, [turn(5, trust="evaluation"), turn(7, trust="trusted")], pool) == turn(7, trust="trusted")
    assert following([*running, turn(7, trust="trusted")], [turn(8, trust="trusted")], pool) is None


def test_s12_who_has_fewest_running_is_next(pool: Pool) -> None:
    waiting = [turn(2), turn(3, "ben"), turn(4, "ben")]
    assert following([turn(1)], waiting, pool) == turn(3, "ben")
    assert following([], waiting, pool) == turn(2)
    # A trusted job that somebody's push started does not count against that person's own jobs.
    assert following([turn(1, "ben", "trusted"), turn(5)], waiting, pool) == turn(3, "ben")


def test_trusted_jobs_may_have_all_places(pool: Pool) -> None:
    running = [turn(task, trust="trusted") for task in (1, 2, 3)]
    assert following(running, [turn(4, trust="trusted")], pool) == turn(4, trust="trusted")
    assert following([*running, turn(4, trust="trusted")], [turn(5)], pool) is None


def test_jobs_are_called_when_others_leave(pool: Pool) -> None:
    async def play() -> None:
        queue = Queue()
        queue.resume(turn(1))
        queue.wait(turn(2))
        assert list(queue.waiting) == [2]  # the pool's limits are not known yet
        queue.use(pool)
        await asyncio.wait_for(queue.called(2), 1)
        assert queue.enter(turn(3, trust="trusted"))
        assert not queue.enter(turn(4))
        assert not queue.enter(turn(5, "ben"))
        queue.leave(3)
        assert list(queue.waiting) == [4, 5]
        queue.leave(1)
        await asyncio.wait_for(queue.called(5), 1)
        assert sorted(queue.running) == [2, 5]
        queue.leave(4)
        assert not queue.waiting

    coroutines.run(play())


def test_s12_nobody_fills_the_queue(pool: Pool) -> None:
    queue = Queue()
    queue.use(pool)
    for number in range(MOST_WAITING_OF_ONE + 2):
        queue.wait(turn(number))
    assert "jobs of ada wait already" in queue.refusal(turn(1000))
    assert queue.refusal(turn(1000, "ben")) == ""
    assert queue.refusal(turn(1000, trust="trusted")) == ""
    for number in range(MOST_WAITING):
        queue.wait(turn(2000 + number, f"person {number}"))
    assert "jobs wait already" in queue.refusal(turn(1000, "ben"))
    assert queue.refusal(turn(1000, trust="trusted")) == ""
