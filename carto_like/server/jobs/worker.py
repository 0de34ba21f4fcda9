"""Working off the queue: one worker, which outlives the database and looks after jobs of dead ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import psycopg_pool
from procrastinate import App, BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Job
from procrastinate.worker import Worker as QueueWorker

from carto_like.server.errors import Problem

from .connector import QueueConnector
from .stalled import recover_stalled
from .task import Task

if TYPE_CHECKING:
    from carto_like.server.platform import Platform

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 0.5
_POLL_SECONDS = 1.0
OUTAGE = (ConnectorException, psycopg.OperationalError, psycopg_pool.PoolTimeout, Problem)
"""What the database's absence looks like, from here."""


class _WhenStopped(BaseRetryStrategy):
    """A job that was cancelled because its worker stops goes back to where it was in the queue."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=datetime.now(timezone.utc))
        return None


class Worker:
    """Runs up to ``job_concurrency`` jobs at a time, of different accounts or queues.

    Args:
        platform: an open platform.
        tasks: the kinds of work it does.
    """

    def __init__(self, platform: Platform, tasks: Mapping[str, Task]) -> None:
        self._platform = platform
        self._tasks = tasks
        self._limits = platform.settings.limits
        self._queue: QueueWorker | None = None
        self._work: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin, in the background."""
        self._work = asyncio.create_task(self._forever(self._work_once), name="worker")
        self._upkeep = asyncio.create_task(self._forever(self._keep_up), name="upkeep of the queue")

    async def close(self) -> None:
        """Stop: running jobs have ``job_drain`` seconds to finish before they are put back."""
        # Told as well as cancelled: in Python 3.10 and 3.11 asyncio.wait_for(), on which the pool's waits
        # rest, forgets a cancellation that comes together with what it waits for.
        self._closing = True
        if self._queue is not None:
            self._queue.stop()  # type: ignore[no-untyped-call]  # procrastinate gives no types here
        for task in (self._upkeep, self._work):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._closing:
            try:
                await work()
            except OUTAGE as error:
                logger.warning("no connection to the queue, trying again: %s", type(error).__name__)
            except Exception:
                # Whatever it was, jobs must not wait until somebody looks.
                logger.exception("the worker failed and starts again")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _work_once(self) -> None:
        limits = self._limits
        jobs = self._platform.jobs
        app = App(connector=QueueConnector(self._platform.settings.dsn, jobs.notice_nudge))
        for task in self._tasks.values():
            retry = None if task.once else _WhenStopped()
            app.task(name=task.name, queue=task.queue, retry=retry or False)(partial_of(self._run, task))
        # Not its context manager, which leaves the pool open when opening it is interrupted.
        try:
            await app.open_async()
            self._queue = QueueWorker(
                app,
                # Not those of a newer version, which this one could only fail.
                queues=sorted({task.queue for task in self._tasks.values()}),
                concurrency=limits.job_concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=limits.job_drain,
                install_signal_handlers=False,
                update_heartbeat_interval=limits.job_heartbeat,
                stalled_worker_timeout=limits.job_stalled_after,
                delete_jobs=DeleteJobCondition.ALWAYS,
            )
            if not self._closing:
                await self._queue.run()  # type: ignore[no-untyped-call]  # nor here
        finally:
            self._queue = None
            await app.close_async()

    async def _run(self, task: Task, *, account_id: str, **arguments: Any) -> None:
        platform = self._platform
        account = UUID(account_id)
        try:
            await task.run(platform, account_id=account, **arguments)
        except asyncio.CancelledError:
            if task.once:
                with suppress(*OUTAGE):
                    await platform.jobs.defer(task.name, account, **arguments)
            raise
        except Exception:
            await self._reachable()
            raise
        await self._reachable()

    async def _reachable(self) -> None:
        """Wait for the database: what became of a job is written next, and must not be lost."""
        while True:
            try:
                async with self._platform.database.metadata() as connection:
                    await connection.execute("SELECT 1")
            except OUTAGE:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _keep_up(self) -> None:
        while not self._closing:
            while await recover_stalled(self._platform, self._tasks, self._limits.job_stalled_after):
                pass
            for task in self._tasks.values():
                if task.tidy is not None:
                    await task.tidy(self._platform)
            await asyncio.sleep(self._limits.job_heartbeat)


def partial_of(run: Callable[..., Awaitable[None]], task: Task) -> Callable[..., Awaitable[None]]:
    """A coroutine function for one task; procrastinate looks whether it is one, so no ``partial``."""

    async def call(**arguments: Any) -> None:
        await partial(run, task)(**arguments)

    return call
