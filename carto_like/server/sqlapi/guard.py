"""Stopping a query whose client has left or whose time is up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Literal

import psycopg
from psycopg.pq import TransactionStatus

from carto_like.server.db import Database
from carto_like.server.errors import Problem, query_timeout
from carto_like.server.sqlapi.problems import problem_of
from carto_like.server.sqlapi.wire import Connection, drain

logger = logging.getLogger(__name__)

Gone = Callable[[], Awaitable[None]]

# Most queries are over before it is worth a task to watch them.
_HEAD_START = 0.02


class Stopped(Exception):
    """The query was stopped from outside: ``late`` past its deadline, ``gone`` with its client."""

    def __init__(self, reason: Literal["late", "gone"]) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def problem(self) -> Problem | None:
        """What to tell the client, if there is one left."""
        return query_timeout() if self.reason == "late" else None


class Guard:
    """Watches over the SQL that runs on a borrowed connection, inside an ``async with`` block.

    When the client leaves or the deadline passes, the query is cancelled; when that is swallowed (a loop
    that catches ``query_canceled`` does), its session is terminated; when the block even then waits, for a
    client that takes nothing, it is broken off. Either way :class:`Stopped` comes out of the block. And
    however the block ends, the connection is left without a running query, or closed.

    Args:
        conn: the connection.
        database: who can terminate a session.
        gone: returns when the client has left.
        seconds: the deadline, 0 for none.
        grace: seconds that a cancelled query has left.
        feeding: whether PostgreSQL waits for us, for the data of a COPY, and not we for PostgreSQL: then the
            block is broken off first, since a backend that waits for data hears of no cancellation.
    """

    def __init__(
        self,
        conn: Connection,
        database: Database,
        gone: Gone,
        *,
        seconds: float,
        grace: float,
        feeding: bool = False,
    ) -> None:
        self._conn = conn
        self._database = database
        self._gone = gone
        self._seconds = seconds
        self._head_start = min(_HEAD_START, seconds) if seconds else _HEAD_START
        self._grace = grace
        self._feeding = feeding
        self._watch: asyncio.Task[None] | None = None
        self._owner: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.reason: Literal["late", "gone"] | None = None

    def explain(self, error: psycopg.Error) -> Problem:
        """What to tell of an error that may be of this guard's making."""
        return query_timeout() if self.reason == "late" else problem_of(error)

    async def __aenter__(self) -> Guard:
        self._owner = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._head_start, self._begin)
        return self

    def _begin(self) -> None:
        self._watch = asyncio.ensure_future(self._watching())

    async def _watching(self) -> None:
        leaving = asyncio.ensure_future(self._gone())
        try:
            limit = max(self._seconds - self._head_start, 0.001) if self._seconds else None
            done, _ = await asyncio.wait({leaving}, timeout=limit)
        finally:
            leaving.cancel()
        self.reason = "gone" if done else "late"
        await self._stop()

    async def _stop(self) -> None:
        if self._feeding:
            self._break_off()
            await asyncio.sleep(self._grace)
        await cancel(self._conn, self._grace)
        await asyncio.sleep(self._grace)
        await terminate(self._conn, self._database)
        await asyncio.sleep(self._grace)
        self._break_off()

    def _break_off(self) -> None:
        if self._owner is not None:
            self._owner.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None and not self._watch.done():
            self._watch.cancel()
            await asyncio.wait({self._watch})
        if self._conn.pgconn.transaction_status == TransactionStatus.ACTIVE:
            await asyncio.shield(settle(self._conn, self._database, self._grace))
        if self.reason is not None and isinstance(error, (psycopg.Error, asyncio.CancelledError)):
            _uncancel(self._owner)
            raise Stopped(self.reason) from error


def _uncancel(task: asyncio.Task[object] | None) -> None:
    # Python 3.11 and later count cancellations; ours has been answered.
    uncancel = getattr(task, "uncancel", None)
    if uncancel is not None:
        uncancel()


async def cancel(conn: Connection, seconds: float) -> None:
    """Ask PostgreSQL to cancel what runs on a connection; a request that fails is logged, no more."""
    try:
        await conn.cancel_safe(timeout=seconds)
    except psycopg.Error as error:
        logger.warning("a query could not be cancelled: %s", type(error).__name__)


async def terminate(conn: Connection, database: Database) -> None:
    """End the session behind a connection."""
    if conn.closed:
        return
    pid = conn.pgconn.backend_pid
    logger.warning("session %d ignored its cancellation and is terminated", pid)
    try:
        await database.terminate(pid)
    except (psycopg.Error, Problem) as error:
        logger.error("session %d could not be terminated: %s", pid, type(error).__name__)


async def settle(conn: Connection, database: Database, grace: float) -> None:
    """Leave no query running: cancel it and read its answer, else terminate the session and close."""
    await cancel(conn, grace)
    try:
        await asyncio.wait_for(drain(conn), grace)
    except asyncio.TimeoutError:
        await terminate(conn, database)
        await conn.close()
    except psycopg.Error:
        await conn.close()
