"""Watches the pools, fetches their tasks from the forge and runs them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import httpx

from runner_controller import registration
from runner_controller.health import Health
from runner_controller.kube import KubeClient, KubeError
from runner_controller.launch import Accepted, Launcher, read_record, turn_of
from runner_controller.pod import MANAGED_BY, Record
from runner_controller.pools import POOL_LABEL, Pool, PoolError, from_template
from runner_controller.protocol import Credentials, ForgeError, Result, RunnerClient, Task, UnknownRunner
from runner_controller.settings import Settings
from runner_controller.supervise import Backoff
from runner_controller.turns import Queue

_log = logging.getLogger(__name__)

_FETCH_SECONDS = 1.0
_POOLS_SECONDS = 5.0


class PoolRunner:
    """One pool's runner: it fetches tasks while fewer than the pool's limit run.

    The forge hands out tasks in its own order and takes none back. So those whose trust class or person has enough
    running wait here, and the runner fetches on: another one may start.
    """

    def __init__(self, label: str, launcher: Launcher, http: httpx.AsyncClient, health: Health) -> None:
        self.pool: Pool | None = None
        self._label = label
        self._launcher = launcher
        self._client = RunnerClient(http, launcher.settings.forge_url)
        self._health = health
        self._queue = Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tasks_version = 0
        self._show()

    async def fetch_forever(self) -> None:
        """Register, then fetch and start tasks until cancelled; tasks that run are left to `stop`."""
        settings, backoff = self._launcher.settings, Backoff()
        registered = False
        while True:
            try:
                if not registered:
                    await registration.ensure(self._launcher.kube, self._client, self._label, settings)
                    registered, self._tasks_version = True, 0
                await self._fetch()
                backoff.reset()
            except UnknownRunner as error:
                _log.warning("pool %s: registering again: %s", self._label, error)
                registered = False
                await backoff.wait()
            except (ForgeError, KubeError, OSError) as error:
                self._health.errors.labels(self._label).inc()
                _log.warning("pool %s: %s", self._label, error)
                await backoff.wait()

    async def _fetch(self) -> None:
        pool = self.pool
        if pool is not None:
            self._queue.use(pool)
        # Those that are in neither list yet may come to run.
        if pool is None or len(self._tasks) - len(self._queue.waiting) >= pool.max_concurrent:
            self._health.contact(self._label)
            await self._pause()
            return
        task, version = await self._client.fetch_task(self._tasks_version)
        self._health.contact(self._label)
        # Of a version that gave a task there may be more; of one that gave none there is nothing for this pool.
        self._tasks_version = 0 if task else version
        if task is None:
            await asyncio.sleep(_FETCH_SECONDS)
        else:
            # A task belongs to the runner that fetched it, also when this pool registers anew meanwhile.
            self._start(task.id, self._run([task], pool, self._client.copy()))

    async def _pause(self) -> None:
        """Wait until a task ended, or a moment in which the pool's limit may have changed."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FETCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(_FETCH_SECONDS)

    async def _run(self, fetched: list[Task], pool: Pool, client: RunnerClient) -> None:
        task_id, trust, result = fetched[0].id, "unknown", Result.FAILURE
        try:
            # Taken out of the list: a task with all it holds is not kept in memory for as long as it waits and runs.
            verdict, accepted = await self._launcher.accept(fetched.pop(), pool, client, self._queue)
            trust = verdict.value
            self._show()
            if isinstance(accepted, Accepted):
                result = await self._launcher.follow(accepted, client, self._queue)
            else:
                result = accepted
        except Exception:
            _log.exception("task %d: a fault in the controller", task_id)
            await self._launcher.abandon(task_id, client)
        finally:
            self._queue.leave(task_id)
        self._health.tasks.labels(self._label, trust, result.name.lower()).inc()

    def resume(self, record: Record, credentials: Credentials) -> None:
        """Take up a task of an earlier controller, as the runner that got it from the forge."""
        client = self._client.copy()
        client.credentials = credentials
        if record.called is None:
            self._queue.wait(turn_of(record))
        else:
            self._queue.resume(turn_of(record))
        self._start(record.task_id, self._resume(record, client))

    async def _resume(self, record: Record, client: RunnerClient) -> None:
        result = Result.FAILURE
        try:
            result = await self._launcher.resume(record, client, self._queue)
        except Exception:
            _log.exception("task %d: a fault in the controller", record.task_id)
            await self._launcher.abandon(record.task_id, client)
        finally:
            self._queue.leave(record.task_id)
        self._health.tasks.labels(self._label, record.trust, result.name.lower()).inc()

    def _start(self, task_id: int, work: Coroutine[Any, Any, None]) -> None:
        _log.info("task %d: taken by pool %s", task_id, self._label)
        running = asyncio.create_task(work, name=f"task {task_id}")
        self._tasks.add(running)
        running.add_done_callback(self._ended)
        self._show()

    def _show(self) -> None:
        self._health.running.labels(self._label).set(len(self._queue.running))
        self._health.waiting.labels(self._label).set(len(self._queue.waiting))

    def _ended(self, running: "asyncio.Task[None]") -> None:
        self._tasks.discard(running)
        self._show()
        if running.cancelled():
            return
        if running.exception():
            _log.error("%s: a fault in the controller", running.get_name(), exc_info=running.exception())
        else:
            _log.info("%s: ended", running.get_name())

    async def stop(self) -> None:
        """Stop following tasks; their Pods run on and the next controller takes them up."""
        for running in self._tasks:
            running.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Controller:
    """All pools of the namespace."""

    def __init__(self, settings: Settings, kube: KubeClient, http: httpx.AsyncClient, health: Health) -> None:
        self._settings = settings
        self._kube = kube
        self._http = http
        self._health = health
        self._launcher = Launcher(kube, settings)
        self._runners: dict[str, PoolRunner] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set."""
        resumed = False
        while not stop.is_set():
            try:
                if not resumed:
                    await self._resume()
                    resumed = True
                await self._refresh()
            except KubeError as error:
                _log.warning("the pools cannot be read: %s", error)
            try:
                await asyncio.wait_for(stop.wait(), _POOLS_SECONDS)
            except TimeoutError:
                continue
        _log.info("stopping; jobs run on and the next controller takes them up")
        for fetching in self._fetching.values():
            fetching.cancel()
        stopping = [runner.stop() for runner in self._runners.values()]
        await asyncio.gather(*self._fetching.values(), *stopping, return_exceptions=True)

    def _runner(self, label: str) -> PoolRunner:
        if label not in self._runners:
            self._runners[label] = PoolRunner(label, self._launcher, self._http, self._health)
        return self._runners[label]

    async def _resume(self) -> None:
        """Take up the Pods that are there. One without a readable task is deleted: nothing can be reported for it."""
        for pod in await self._kube.list("pods", MANAGED_BY):
            record = read_record(pod)
            credentials = await registration.load(self._kube, record.pool, self._settings.forge_url) if record else None
            if record is None or credentials is None:
                await self._kube.delete("pods", pod["metadata"]["name"])
                continue
            self._runner(record.pool).resume(record, credentials)

    async def _refresh(self) -> None:
        """Read the PodTemplates; start to fetch for new pools, stop for those gone."""
        pools: dict[str, Pool] = {}
        broken = 0
        for template in await self._kube.list("podtemplates", {POOL_LABEL: "true"}):
            try:
                pool = from_template(template)
                pools[pool.label] = pool
            except PoolError as error:
                broken += 1
                _log.error("%s", error)
        self._health.broken.set(broken)
        for label, pool in pools.items():
            self._runner(label).pool = pool
            if label not in self._fetching or self._fetching[label].done():
                self._fetching[label] = asyncio.create_task(self._runner(label).fetch_forever(), name=f"pool {label}")
        for label in self._fetching.keys() - pools.keys():
            _log.info("pool %s: its PodTemplate is gone", label)
            self._fetching.pop(label).cancel()
            self._runner(label).pool = None
            self._health.forget(label)
