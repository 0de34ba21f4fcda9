"""Putting work into the queue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from procrastinate import PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from carto_like.server.db import Database
from carto_like.server.pool import Connection

from .schema import NUDGES, in_schema
from .task import Task
from .worker import Worker

if TYPE_CHECKING:
    from carto_like.server.platform import Platform


class Jobs:
    """The queue as the rest of the platform knows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Never opened: jobs are written on the connections of whoever defers them.
        self._manager = JobManager(PsycopgConnector())
        self._worker: Worker | None = None
        self._nudged = asyncio.Event()

    def start_worker(self, platform: Platform) -> None:
        """Begin to work off the queue in this process, until :meth:`close`."""
        from .tasks import TASKS

        self._worker = Worker(platform, TASKS)
        self._worker.start()

    async def close(self) -> None:
        """Stop working; what is not finished soon is put back, or left to the next worker."""
        if self._worker is not None:
            await self._worker.close()
            self._worker = None

    async def defer(
        self, task_name: str, account_id: UUID, *, connection: Connection | None = None, **arguments: Any
    ) -> None:
        """Put a job into the queue; a worker begins with it as soon as one is free.

        Args:
            task_name: one of those in :mod:`carto_like.server.jobs.tasks`.
            account_id: whose job it is; his others in the same queue come before it.
            connection: the platform's own, in a transaction with which the job appears, or never does.
            arguments: given to the task, as JSON. They appear in logs, so no secrets.
        """
        from .tasks import TASKS

        task = TASKS[task_name]
        if connection is None:
            async with self._database.metadata() as own:
                await self.add(own, task, account_id, arguments)
        else:
            await self.add(connection, task, account_id, arguments)

    async def add(
        self, connection: Connection, task: Task, account_id: UUID, arguments: dict[str, Any]
    ) -> None:
        """Put a job of a known kind into the queue; see :meth:`defer`."""
        lock = f"{task.queue}:{account_id}"
        job = Job(
            queue=task.queue,
            lock=lock,
            queueing_lock=f"{task.name}:{account_id}" if task.once else None,
            task_name=task.name,
            task_kwargs={**arguments, "account_id": str(account_id)},
        )
        try:
            async with connection.transaction(), in_schema(connection):
                await self._manager.defer_job_async(job, connection)
        except AlreadyEnqueued:
            # One is waiting, which is what was wanted.
            return

    async def nudge(self, connection: Connection) -> None:
        """Let all workers look at what they are doing, once the connection's transaction ends."""
        await connection.execute("SELECT pg_catalog.pg_notify(%s, '')", (NUDGES,))

    @property
    def nudged(self) -> asyncio.Event:
        """Set at the next nudge; take it before a look, so that none is missed between look and wait."""
        return self._nudged

    def notice_nudge(self) -> None:
        """Wake whoever waits for a nudge."""
        event, self._nudged = self._nudged, asyncio.Event()
        event.set()
